"use strict";
(() => {
  const page = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const data = JSON.parse(document.getElementById("data").textContent);
  page.classList.add("js");

  // Variants: one drawing of a figure at a time.
  const show = (figure, chosen) =>
    all(".variant", figure).forEach((variant, index) => { variant.hidden = index !== chosen; });
  for (const figure of all("figure")) {
    const choices = all("input[type=radio], option", figure);
    const chosen = () => Math.max(0, choices.findIndex((one) => one.checked || one.selected));
    all(".choice", figure).forEach((choice) =>
      choice.addEventListener("change", () => show(figure, chosen())));
    // A browser that comes back to the page restores the choice; the drawing follows it.
    show(figure, chosen());
  }

  // Tooltips, by pointer and by focus; Escape takes one away.
  const tip = document.getElementById("tip");
  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    const width = page.clientWidth;
    const left = Math.min(Math.max(8, x + 14), Math.max(8, width - box.width - 8));
    const above = y - box.height - 14;
    const below = Math.max(4, Math.min(y + 18, innerHeight - box.height - 8));
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above < 4 ? below : above) + scrollY}px`;
  };
  const tell = (text, x, y, drawing) => {
    tip.textContent = text;
    if (drawing) {
      const part = document.createElement("div");
      part.append(`${drawing.getAttribute("aria-label")}:`, drawing);
      tip.append(part);
    }
    tip.hidden = false;
    place(x, y);
  };
  const hush = () => { tip.hidden = true; };
  // The waveforms of a point of the front, drawn anew; null where there are none.
  const waveforms = (point) => {
    const label = document.getElementById(`detail-${point.dataset.detail}`)?.dataset.waveforms;
    const drawn = label && all("#figure-waveforms .variant").find((v) => v.dataset.label === label);
    return drawn ? drawn.querySelector("svg").cloneNode(true) : null;
  };
  const tellPoint = (point) => {
    const box = point.querySelector(".target").getBoundingClientRect();
    tell(point.dataset.tip, box.x + box.width / 2, box.y + box.height / 2, waveforms(point));
  };

  // Points: one of a figure is in the order of Tab, the arrow keys lead to the others.
  const details = document.getElementById("details");
  const choose = (point) => {
    const template = document.getElementById(`detail-${point.dataset.detail}`);
    if (!template || !details) return;
    all(".point.chosen").forEach((other) => other.classList.remove("chosen"));
    all(`.point[data-detail="${point.dataset.detail}"]`).forEach((same) => same.classList.add("chosen"));
    details.replaceChildren(template.content.cloneNode(true));
    const drawn = waveforms(point);
    if (drawn) {
      const heading = document.createElement("h3");
      heading.textContent = drawn.getAttribute("aria-label");
      details.append(heading, drawn);
    }
  };
  for (const svg of all("figure svg")) {
    const points = all(".point", svg);
    if (points.length) points[0].setAttribute("tabindex", "0");
    // Markers may lie close together: the pointer means the nearest one.
    const nearest = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let best = null, least = 16;
      for (const point of points) {
        const mark = point.querySelector(".target");
        const distance = Math.hypot(mark.cx.baseVal.value - at.x, mark.cy.baseVal.value - at.y);
        if (distance < least) [best, least] = [point, distance];
      }
      return best;
    };
    let hot = null;
    const heat = (point) => {
      if (point === hot) return;
      hot?.classList.remove("hot");
      hot = point;
      if (point) { point.classList.add("hot"); tellPoint(point); } else hush();
    };
    if (points.length) {
      svg.addEventListener("pointermove", (event) => heat(nearest(event)));
      svg.addEventListener("pointerleave", () => heat(null));
      svg.addEventListener("click", (event) => {
        const point = nearest(event);
        if (point) { heat(point); choose(point); }
      });
    }
    points.forEach((point, index) => {
      point.addEventListener("focus", () => tellPoint(point));
      point.addEventListener("blur", hush);
      point.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (step) {
          const next = points[(index + step + points.length) % points.length];
          point.setAttribute("tabindex", "-1");
          next.setAttribute("tabindex", "0");
          next.focus();
        } else if (event.key === "Enter" || event.key === " ") choose(point);
        else return;
        event.preventDefault();
      });
    });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });

  // The read map: a cell under the pointer, or one that the arrow keys move.
  const unit = (value, name) => {
    if (value === "") return "none";
    const number = Number(value);
    const power = Math.floor(Math.log10(Math.abs(number)) / 3);
    const prefix = { "-5": "f", "-4": "p", "-3": "n", "-2": "µ", "-1": "m", 0: "", 1: "k", 2: "M" }[power];
    return prefix === undefined ? `${number} ${name}` : `${Number((number / 1000 ** power).toPrecision(3))} ${prefix}${name}`;
  };
  let rows = null;
  for (const plane of all(".plane")) {
    const count = Number(plane.dataset.cells);
    const cursor = plane.parentNode.querySelector(".cursor");
    let column = Math.floor(count / 3), row = Math.floor((2 * count) / 3);
    const tellCell = () => {
      rows ??= data["read-map"].trimEnd().split("\n").slice(1).map((line) => line.split(","));
      const found = rows[(Number(plane.dataset.map) * count + column) * count + row];
      const [x, y, size] = [plane.x.baseVal.value, plane.y.baseVal.value, plane.width.baseVal.value / count];
      cursor.setAttribute("x", x + column * size);
      cursor.setAttribute("y", y + (count - 1 - row) * size);
      const box = cursor.getBoundingClientRect();
      const read = found[3] === "" ? "did not converge" : `reads ${found[3] > 0 ? "+1" : found[3] < 0 ? "−1" : "0"}`;
      const time = found[4] === "" ? "not resolved in the window" : `resolved in ${unit(found[4], "s")}`;
      tell(`${unit(found[1], "Ω")} / ${unit(found[2], "Ω")}: ${read}\n${time}, ${unit(found[5], "J")}`,
        box.x + box.width / 2, box.y);
      plane.setAttribute("aria-label", tip.textContent);
    };
    plane.addEventListener("pointermove", (event) => {
      const box = plane.getBoundingClientRect();
      const at = (share) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
      column = at((event.clientX - box.x) / box.width);
      row = at(1 - (event.clientY - box.y) / box.height);
      tellCell();
    });
    plane.addEventListener("pointerleave", hush);
    plane.addEventListener("focus", tellCell);
    plane.addEventListener("blur", hush);
    plane.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      column = Math.min(count - 1, Math.max(0, column + step[0]));
      row = Math.min(count - 1, Math.max(0, row + step[1]));
      tellCell();
      event.preventDefault();
    });
  }

  // Downloads: what is seen as SVG with its style, and its data as CSV.
  const save = (name, kind, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size",
    "font-weight", "font-family", "text-anchor", "paint-order", "shape-rendering"];
  const drawing = (key) => {
    const shown = document.querySelector(`#figure-${key} .variant:not([hidden]) svg`);
    const svg = shown.cloneNode(true);
    // Light colours, written on every element: drawing programs know no CSS variables.
    const chosen = page.dataset.theme;
    page.dataset.theme = "light";
    const sources = all("*", shown);
    all("*", svg).forEach((element, index) => {
      const style = getComputedStyle(sources[index]);
      for (const name of STYLES) element.setAttribute(name, style.getPropertyValue(name));
      for (const name of ["class", "tabindex", "role"]) element.removeAttribute(name);
    });
    page.dataset.theme = chosen;
    ["plane", "cursor", "target"].forEach((name) => all(`.${name}`, shown).forEach((element) =>
      all("*", svg)[sources.indexOf(element)]?.setAttribute("display", "none")));
    return `${new XMLSerializer().serializeToString(svg)}\n`;
  };
  for (const each of all("[data-download]")) {
    each.addEventListener("click", () => {
      const key = each.dataset.key;
      if (each.dataset.download === "svg") save(`${key}.svg`, "image/svg+xml", drawing(key));
      else save(`${key}.csv`, "text/csv", data[key]);
    });
  }
})();
