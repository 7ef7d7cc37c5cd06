"use strict";
// The bits of a number: buttons in three fields, one of them in the tab order, arrow keys between them.

(() => {
  const { element } = halfsim;

  // A bit that nobody may flip is no button.
  const one = (flip) => {
    if (!flip) return element("span", { class: "bit" });
    const made = element("button", { type: "button", class: "bit" });
    made.addEventListener("click", () => flip(made.dataset.flipped));
    return made;
  };

  const walk = (container, buttons) => {
    const next = new Map();
    const previous = new Map();
    buttons.reduce((left, right) => {
      next.set(left, right);
      previous.set(right, left);
      return right;
    });
    const targets = {
      ArrowRight: (from) => next.get(from),
      ArrowLeft: (from) => previous.get(from),
      Home: () => buttons.at(0),
      End: () => buttons.at(-1),
    };
    container.onkeydown = (event) => {
      const target = targets[event.key]?.(event.target);
      if (!target) return;
      event.preventDefault();
      target.focus();
    };
    for (const target of buttons) {
      target.addEventListener("focus", () => {
        for (const each of buttons) each.tabIndex = each === target ? 0 : -1;
      });
    }
    for (const each of buttons) each.tabIndex = -1;
    buttons.at(0).tabIndex = 0;
  };

  const build = (container, number, flip) => {
    const groups = new Map();
    const buttons = number.bits.map((bit) => {
      const made = one(flip);
      if (!groups.has(bit.field)) groups.set(bit.field, element("span", { class: `group ${bit.field}` }));
      groups.get(bit.field).append(made);
      return made;
    });
    const titled = [...groups].map(([field, group]) =>
      element("span", { class: "bitfield" }, group, element("span", { class: "fieldname", "aria-hidden": "true" }, field)),
    );
    container.replaceChildren(...titled);
    if (flip && buttons.length) walk(container, buttons);
  };

  // Bits change in place, so that the one that was flipped keeps the focus.
  halfsim.showBits = (container, number, flip) => {
    let buttons = [...container.querySelectorAll(".bit")];
    if (buttons.length !== number.bits.length) {
      build(container, number, flip);
      buttons = [...container.querySelectorAll(".bit")];
    }
    for (const [place, bit] of number.bits.entries()) {
      const each = buttons[place];
      each.textContent = bit.digit;
      each.dataset.flipped = bit.flipped;
      each.classList.toggle("on", bit.digit === "1");
      if (flip) {
        each.setAttribute("aria-pressed", bit.digit === "1");
        each.setAttribute("aria-label", `${number.name}, ${bit.field}, bit ${bit.place}: ${bit.digit}`);
      }
    }
  };
})();
