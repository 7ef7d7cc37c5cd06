"use strict";
// The view of one operation: its fields, and the answer with one of the seven roundings in full.

(() => {
  const { catalogue, element, find } = halfsim;
  const NAMES = ["a", "b", "c"];
  const operations = new Map(
    catalogue.operations.flatMap((group) => group.operations.map((operation) => [operation.name, operation])),
  );
  let answer = null;

  const operand = (name) => {
    const input = element("input", {
      id: name, autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      "aria-describedby": `${name}-note ${name}-error`,
    });
    return element(
      "div", { class: "operand", id: `operand-${name}` },
      element("p", { class: "field" }, element("label", { for: name }, name), input),
      element("p", { class: "reading", id: `${name}-reading` }),
      element("div", { class: "bits", id: `${name}-bits`, role: "group", "aria-label": `Bits of ${name}` }),
      element("p", { class: "note", id: `${name}-note` }),
      element("p", { class: "error", id: `${name}-error`, role: "alert", hidden: "" }),
    );
  };

  const used = () => operations.get(find("operation").value).operands;
  const showOperands = () => {
    const names = used();
    for (const name of NAMES) find(`operand-${name}`).hidden = !names.includes(name);
  };

  const setup = (changed) => {
    for (const group of catalogue.operations) {
      find("operation").append(
        element(
          "optgroup", { label: group.title },
          ...group.operations.map(({ name, ieee }) => element("option", { value: name }, `${name} (${ieee})`)),
        ),
      );
    }
    for (const { alias, name } of catalogue.roundings) {
      find("rounding").append(element("option", { value: alias }, `${name} (${alias})`));
    }
    find("rounding").append(element("option", { value: "stochastic" }, "stochastic"));
    halfsim.options(find("environment"), catalogue.environments);
    halfsim.examples(find("operation-example"), catalogue.examples.operation);
    find("operands").append(...NAMES.map((name) => operand(name)));
    find("operation-form").addEventListener("input", (event) => {
      if (event.target.id === "rounding") {
        changed({ quiet: true });
        return;
      }
      if (event.target.id === "operation-example") load(event.target.value);
      else find("operation-example").value = "";
      showOperands();
      changed();
    });
    view.changed = changed;
    load("0");
    find("rounding").value = "rne";
    if (catalogue.answers) {
      halfsim.fix("operation", ["operation", "environment", "bits", "seed", ...NAMES].map(find));
      find("operation-hint").hidden = true;
    }
  };

  const load = (number) => {
    const example = catalogue.examples.operation[number];
    if (!example) return;
    find("operation-example").value = number;
    const { operands, ...others } = example.asked;
    for (const [field, value] of Object.entries(others)) find(field).value = value;
    for (const [place, value] of operands.entries()) find(NAMES[place]).value = value;
    showOperands();
  };

  const asked = () => ({
    operation: find("operation").value,
    operands: used().map((name) => find(name).value),
    environment: find("environment").value,
    bits: find("bits").value,
    seed: find("seed").value,
  });

  const flagChips = (raised) =>
    catalogue.flags.map((flag) =>
      element(
        "span", { class: raised.includes(flag) ? "flag raised" : "flag" },
        `${raised.includes(flag) ? "✓" : "–"} ${flag}`,
      ),
    );

  // Kept digits, then guard, rest and sticky as the rounder saw them.
  const digits = (decision) => {
    if (!decision) return [];
    const part = (kind, label, text) =>
      element("span", { class: `digits ${kind}` }, element("span", { class: "label" }, label), element("code", {}, text));
    return [
      part("kept", "kept", decision.kept), part("cut", "guard", decision.guard), part("cut", "rest", decision.rest),
      part("cut", "sticky", decision.sticky),
    ];
  };

  const chosen = () => {
    const alias = find("rounding").value;
    return answer.roundings.find((row) => row.alias === alias || row.name === alias);
  };

  const choose = (row) => {
    find("rounding").value = row.name === "stochastic" ? "stochastic" : row.alias;
    view.changed({ quiet: true });
  };

  const table = (shown) => {
    const head = ["rounding", "result", "value", "decided", "flags"];
    const rows = answer.roundings.map((row) => {
      const name = element("button", { type: "button", "aria-pressed": row === shown, title: row.title }, row.name);
      name.addEventListener("click", () => choose(row));
      return element(
        "tr", row === shown ? { class: "chosen" } : {},
        element("th", { scope: "row" }, name), element("td", {}, element("code", {}, row.result.pattern)),
        element("td", {}, row.result.decimal), element("td", {}, row.decision ? row.decision.direction : "–"),
        element("td", {}, row.flags.join(", ") || "none"),
      );
    });
    find("roundings").replaceChildren(
      element("thead", {}, element("tr", {}, ...head.map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, ...rows),
    );
  };

  // Draws the answer again with another rounding in full; asks nothing.
  const redraw = () => {
    if (!answer) return;
    const focused = document.activeElement?.closest?.("#roundings button")?.textContent;
    const row = chosen();
    const exact = answer.exact ? `${answer.exact.hexadecimal} = ${answer.exact.decimal}` : `– (${answer.outcome})`;
    halfsim.facts(find("result"), [
      ["exact", exact],
      ["rounded", `${row.result.pattern} = ${row.result.value}`],
      ["class", row.result.kind],
    ]);
    halfsim.showBits(find("result-bits"), row.result, null);
    find("decision").textContent = row.decision ? row.decision.reason : row.facts.at(-1).at(-1);
    find("digits").replaceChildren(...digits(row.decision));
    find("flags").replaceChildren(...flagChips(row.flags));
    find("reasons").replaceChildren(...row.reasons.map((reason) => element("li", {}, reason)));
    find("line").replaceChildren(...halfsim.numberLine(answer, row));
    table(row);
    halfsim.facts(find("facts"), row.facts);
    find("command").textContent = row.command;
    if (focused) [...find("roundings").querySelectorAll("button")].find((b) => b.textContent === focused)?.focus();
  };

  const show = (given) => {
    answer = given;
    for (const number of answer.operands) {
      find(`${number.name}-note`).textContent = number.note;
      find(`${number.name}-reading`).textContent = `${number.pattern} = ${number.value}, ${number.kind}`;
      const flip = (pattern) => {
        find(number.name).value = pattern;
        find("operation-example").value = "";
        view.changed();
      };
      halfsim.showBits(find(`${number.name}-bits`), number, catalogue.answers ? null : flip);
    }
    redraw();
  };

  const view = {
    path: "api/operation",
    example: () => find("operation-example").value,
    fields: ["a", "b", "c", "bits", "seed"],
    errorOf: (field) => find(`${field}-error`),
    inputOf: (field) => find(field),
    error: find("operation-error"),
    output: find("operation-answer"),
    setup, asked, show, redraw,
    failed: (field) => {
      for (const name of NAMES) {
        find(`${name}-note`).textContent = "";
        if (name === field) {
          find(`${name}-reading`).textContent = "";
          find(`${name}-bits`).replaceChildren();
        }
      }
    },
    save: (state) => {
      if (catalogue.answers) state.set("example", find("operation-example").value);
      else {
        const { operands, ...others } = asked();
        for (const [field, value] of Object.entries(others)) state.set(field, value);
        for (const [place, value] of operands.entries()) state.set(NAMES[place], value);
      }
      state.set("rounding", find("rounding").value);
    },
    restore: (state) => {
      if (catalogue.answers) load(state.get("example") ?? "0");
      for (const field of catalogue.answers ? ["rounding"] : ["operation", "environment", "rounding", "bits", "seed", ...NAMES]) {
        const place = find(field);
        const before = place.value;
        if (state.has(field)) place.value = state.get(field);
        // A select knows only its own names.
        if (place.tagName === "SELECT" && place.selectedIndex < 0) place.value = before;
      }
      showOperands();
      if (!catalogue.answers) find("operation-example").value = halfsim.exampleOf(catalogue.examples.operation, asked());
    },
  };
  halfsim.operationView = view;
})();
