"use strict";
// The view of a dot product: its fields, the table, and for every accumulator its terms as bars of digits.

(() => {
  const { catalogue, drawn, element, find, percent } = halfsim;
  const KINDS = [
    ["one kept", "1, kept"], ["zero kept", "0, kept"], ["one lost", "1, cut off"], ["zero lost", "0, cut off"],
    ["end", "zeros at the end"],
  ];

  const boxes = () => [...find("rows").querySelectorAll("input")];
  const rows = () => boxes().filter((box) => box.checked).map((box) => box.value);
  const choose = (names) => {
    for (const box of boxes()) box.checked = names.includes(box.value);
    find("chosen").textContent = rows().join(", ") || "none";
  };

  const asked = () => ({ a: find("dot-a").value, b: find("dot-b").value, c: find("dot-c").value, rows: rows() });

  const load = (number) => {
    const example = catalogue.examples.dot[number];
    if (!example) return;
    find("dot-example").value = number;
    for (const field of ["a", "b", "c"]) find(`dot-${field}`).value = example.asked[field];
    choose(example.asked.rows);
  };

  const setup = (changed) => {
    halfsim.examples(find("dot-example"), catalogue.examples.dot);
    for (const group of catalogue.accumulators) {
      const made = element("fieldset", {}, element("legend", {}, group.title));
      for (const name of group.names) {
        const box = element("input", { type: "checkbox", value: name, id: `row-${name}` });
        made.append(element("label", { for: `row-${name}` }, box, name));
      }
      find("rows").append(made);
    }
    find("legend").replaceChildren(
      ...KINDS.map(([kind, text]) =>
        element("li", {}, drawn("svg", { class: "bar key", width: "28", height: "18" }, run(kind, "0", "28")), text),
      ),
    );
    find("dot-form").addEventListener("input", (event) => {
      if (event.target.id === "dot-example") load(event.target.value);
      else {
        find("dot-example").value = "";
        find("chosen").textContent = rows().join(", ") || "none";
      }
      changed();
    });
    if (catalogue.answers) halfsim.fix("dot", [...["dot-a", "dot-b", "dot-c"].map(find), ...boxes()]);
    load("0");
  };

  const run = (kind, x, width) => drawn("rect", { class: kind, x, width, y: "2", height: "14" });

  const bar = (each) => {
    const picture = drawn(
      "svg", { class: "bar", width: "100%", height: "18", "aria-hidden": "true" },
      ...each.runs.map(({ kind, x, width }) => run(kind, percent(x), percent(width))),
    );
    if (each.cut !== null) {
      picture.append(drawn("line", { x1: percent(each.cut), x2: percent(each.cut), y1: "0", y2: "18", class: "cut" }));
    }
    return element(
      "tr", each.lost ? { class: "loses" } : {},
      element("th", { scope: "row" }, each.name), element("td", { class: "picture" }, picture),
      element(
        "td", { class: "number" }, each.value, ...(each.lost ? [element("span", { class: "lost" }, `loses ${each.lost}`)] : []),
      ),
    );
  };

  const group = ({ title, bars, result }, axis) => {
    const scale = drawn(
      "svg", { class: "scale", width: "100%", height: "14", "aria-hidden": "true" },
      ...axis.map(({ x, label }) => drawn("text", { x: percent(x), y: "11" }, label)),
    );
    const ruler = element("tr", {}, element("td"), element("td", { class: "picture" }, scale), element("td"));
    const made = element(
      "table", { class: "bars" },
      element("caption", {}, title),
      element("colgroup", {}, ...["name", "picture", "number"].map((kind) => element("col", { class: kind }))),
      element("tbody", {}, ...(bars.some((each) => each.runs.length) ? [ruler] : []), ...bars.map(bar)),
    );
    return result ? [made, element("p", { class: "carried" }, `d = ${result}`)] : [made];
  };

  const card = (each, axis) =>
    element(
      "article", { class: "panel card", "data-row": each.name },
      element("h3", {}, each.name), element("p", { class: "hint" }, each.about),
      element(
        "p", {}, element("strong", {}, each.result), " ", element("code", {}, each.pattern),
        each.error === "0" ? ", exact" : `, error ${each.error}, ${each.ulp} ulp`,
      ),
      element("p", {}, `first loss: ${each.loss}`),
      ...each.groups.flatMap((one) => group(one, axis)),
      ...(each.more ? [element("p", { class: "hint" }, `${each.more}, not drawn`)] : []),
    );

  const show = (answer) => {
    find("dot-operands").textContent = answer.operands;
    find("dot-exact").textContent = answer.exact;
    find("dot-notes").replaceChildren(...answer.notes.map((note) => element("li", {}, note)));
    find("compared").replaceChildren(
      element("thead", {}, element("tr", {}, ...answer.table.head.map((title) => element("th", { scope: "col" }, title)))),
      element(
        "tbody", {},
        ...answer.table.rows.map((row, number) =>
          element(
            "tr", answer.table.marked.includes(number) ? { class: "loses" } : {},
            ...row.map((cell, place) => (place ? element("td", {}, cell) : element("th", { scope: "row" }, cell))),
          ),
        ),
      ),
    );
    find("cards").replaceChildren(...answer.cards.map((each) => card(each, answer.axis)));
  };

  halfsim.dotView = {
    path: "api/dot",
    example: () => find("dot-example").value,
    fields: ["a", "b", "c", "rows"],
    errorOf: (field) => find(`dot-${field}-error`),
    inputOf: (field) => find(`dot-${field}`),
    error: find("dot-error"),
    output: find("dot-answer"),
    setup, asked, show,
    redraw: () => {},
    failed: () => {},
    save: (state) => {
      if (catalogue.answers) state.set("example", find("dot-example").value);
      else {
        for (const field of ["a", "b", "c"]) state.set(field, find(`dot-${field}`).value);
        state.set("rows", rows().join(","));
      }
    },
    restore: (state) => {
      if (catalogue.answers) {
        load(state.get("example") ?? "0");
        return;
      }
      for (const field of ["a", "b", "c"]) if (state.has(field)) find(`dot-${field}`).value = state.get(field);
      if (state.has("rows")) choose(state.get("rows").split(","));
      find("dot-example").value = halfsim.exampleOf(catalogue.examples.dot, asked());
    },
  };
})();
