"use strict";
// What both views share: asking, errors, the address that says what is shown, and the theme.

(() => {
  const { catalogue, find } = halfsim;
  const views = { operation: halfsim.operationView, dot: halfsim.dotView };
  const PAUSE = 30;
  const PATIENCE = 700;
  let current = "operation";
  let latest = null;
  let waiting = 0;

  const ask = async (view) => {
    if (catalogue.answers) return catalogue.answers[current][view.example()];
    const body = new TextEncoder().encode(JSON.stringify(view.asked()));
    const most = catalogue.limits.bytes;
    // The server would refuse it, which browsers report in their console.
    if (body.length > most) return { error: `the input is too long: ${body.length} bytes, at most ${most}`, field: "" };
    const reply = await fetch(view.path, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return reply.json();
  };

  const fail = (view, { error, field }) => {
    const known = view.fields.includes(field);
    const place = known ? view.errorOf(field) : view.error;
    place.textContent = error;
    place.hidden = false;
    if (known) view.inputOf(field)?.setAttribute("aria-invalid", "true");
    view.failed(field);
  };

  const clear = (view) => {
    for (const field of view.fields) {
      view.errorOf(field)?.replaceChildren();
      if (view.errorOf(field)) view.errorOf(field).hidden = true;
      view.inputOf(field)?.removeAttribute("aria-invalid");
    }
    view.error.hidden = true;
  };

  const save = () => {
    const state = new URLSearchParams({ view: current });
    views[current].save(state);
    try {
      history.replaceState(null, "", `#${state}`);
    } catch {
      // A frame without an address of its own cannot keep it.
    }
  };

  const refresh = async () => {
    const view = views[current];
    const mine = {};
    latest = mine;
    save();
    const slow = setTimeout(() => {
      find("slow").hidden = mine !== latest;
    }, PATIENCE);
    let answer;
    try {
      answer = await ask(view);
    } catch {
      answer = { error: "The server does not answer: start halfsim explore again, and reload.", field: "" };
    }
    clearTimeout(slow);
    if (mine !== latest) return;
    find("slow").hidden = true;
    clear(view);
    if (answer.error !== undefined) fail(view, answer);
    else view.show(answer);
    view.output.hidden = answer.error !== undefined;
    view.output.setAttribute("aria-busy", "false");
  };

  // Typing is answered after a pause; what needs no answer is drawn at once.
  const changed = ({ quiet = false, pause = PAUSE } = {}) => {
    if (quiet) {
      save();
      views[current].redraw();
      return;
    }
    latest = null;
    views[current].output.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    waiting = setTimeout(refresh, pause);
  };

  const open = (name) => {
    current = name;
    for (const each of Object.keys(views)) {
      find(`view-${each}`).hidden = each !== name;
      find(`show-${each}`).setAttribute("aria-pressed", each === name);
    }
    changed({ pause: 0 });
  };

  const restore = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    const name = Object.hasOwn(views, state.get("view") ?? "") ? state.get("view") : "operation";
    views[name].restore(state);
    open(name);
  };

  const THEMES = { system: "light", light: "dark", dark: "system" };
  const paint = (theme) => {
    document.documentElement.dataset.theme = theme;
    find("theme").textContent = `Theme: ${theme}`;
  };
  const kept = () => {
    try {
      return localStorage.getItem("halfsim-theme");
    } catch {
      return null;
    }
  };
  find("theme").addEventListener("click", () => {
    const theme = THEMES[document.documentElement.dataset.theme];
    paint(theme);
    try {
      localStorage.setItem("halfsim-theme", theme);
    } catch {
      // It then lasts as long as the page.
    }
  });
  paint(Object.hasOwn(THEMES, kept() ?? "") ? kept() : "system");

  find("version").textContent = catalogue.version;
  find("limited").hidden = !catalogue.answers;
  for (const [name, view] of Object.entries(views)) {
    view.setup(changed);
    find(`show-${name}`).addEventListener("click", () => open(name));
    for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  }
  addEventListener("hashchange", restore);
  restore();
})();
