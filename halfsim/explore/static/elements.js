"use strict";
// Elements without markup: text only ever becomes a text node, so nothing typed or answered can become code.
// This page computes no number. Values and places come from the server, which runs halfsim.

const halfsim = {
  catalogue: globalThis.halfsimCatalogue,
  find: (id) => document.getElementById(id),
};

(() => {
  const filled = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  halfsim.element = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);
  halfsim.drawn = (tag, attributes = {}, ...children) =>
    filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  halfsim.percent = (number) => `${number}%`;

  // Label and text of each fact; an empty label goes on with the one before.
  halfsim.facts = (list, rows) => {
    list.replaceChildren(
      ...rows.flatMap(([label, text]) => [halfsim.element("dt", {}, label), halfsim.element("dd", {}, text)]),
    );
  };

  // Which worked example asks the same; none is the empty choice.
  halfsim.exampleOf = (rows, asked) => {
    const number = rows.findIndex((example) => JSON.stringify(example.asked) === JSON.stringify(asked));
    return rows[number] ? number : "";
  };

  halfsim.options = (select, names) => {
    select.append(...names.map((name) => halfsim.element("option", { value: name }, name)));
  };

  // A field that shows what a worked example asks, where nothing answers other numbers: read and announced, not changed.
  halfsim.fix = (view, fields) => {
    const note = halfsim.find(`${view}-fixed`);
    note.hidden = false;
    for (const field of fields) {
      field[field.matches("input:not([type=checkbox]), textarea") ? "readOnly" : "disabled"] = true;
      const described = [note.id, field.getAttribute("aria-describedby")].filter(Boolean);
      field.setAttribute("aria-describedby", described.join(" "));
    }
  };

  halfsim.examples = (select, rows) => {
    if (!halfsim.catalogue.answers) select.append(halfsim.element("option", { value: "" }, "Numbers of your own"));
    for (const [number, example] of rows.entries()) {
      select.append(halfsim.element("option", { value: number }, example.title));
    }
  };
})();
