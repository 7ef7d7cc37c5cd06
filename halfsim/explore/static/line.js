"use strict";
// The number line: places in per cent of its length as the server gives them, heights fixed.

(() => {
  const { drawn, element, percent } = halfsim;

  const label = (place, y, text, kind) =>
    drawn("text", { x: percent(place.x), y, "text-anchor": place.anchor, class: kind }, text);

  const upright = (place, top, bottom, kind) =>
    drawn("line", { x1: percent(place.x), x2: percent(place.x), y1: top, y2: bottom, class: kind });

  // Names of the roundings that end at a tick, one above the other.
  const names = (tick, answer, shown) => {
    const rows = tick.roundings.map((number) => answer.roundings[number]);
    const stack = drawn("text", { x: percent(tick.x), y: "118", "text-anchor": tick.anchor, class: "names" });
    stack.append(
      ...rows.toReversed().map((row) =>
        drawn(
          "tspan", { x: percent(tick.x), dy: "-14", class: row === shown ? "chosen" : "" },
          row.name === "stochastic" ? "stochastic" : row.alias,
        ),
      ),
    );
    return stack;
  };

  // Neighbours that nothing ends at are labelled lower: on a phone three labels do not fit in a row.
  const tick = (each, answer, shown) =>
    each.roundings.length
      ? [
          upright(each, "112", "128", "tick"), names(each, answer, shown), label(each, "146", each.label, "value"),
          label(each, "162", each.pattern, "pattern"),
        ]
      : [
          upright(each, "112", "128", "tick around"), label(each, "180", each.label, "value around"),
          label(each, "196", each.pattern, "pattern"),
        ];

  halfsim.numberLine = (answer, shown) => {
    const { line } = answer;
    if (!line) return [element("p", { class: "hint" }, "No number line: the result is not one finite number or another.")];
    const picture = drawn(
      "svg", { class: "line", role: "img", width: "100%", height: "228", "aria-label": "Results on a number line; the table below lists them." },
      drawn("line", { x1: "2%", x2: "98%", y1: "120", y2: "120", class: line.to_scale ? "axis" : "axis broken" }),
      ...(line.exact ? [upright(line.exact, "120", "206", "exact")] : []),
      ...line.ticks.flatMap((each) => tick(each, answer, shown)),
    );
    if (line.tie) picture.append(upright(line.tie, "108", "132", "tie"), label(line.tie, "102", "tie", "tie"));
    if (line.exact) {
      picture.append(
        drawn("circle", { cx: percent(line.exact.x), cy: "120", r: "5", class: "exact" }),
        label(line.exact, "218", line.to_scale ? "exact" : "exact, far beyond", "exact"),
      );
    }
    return [picture];
  };
})();
