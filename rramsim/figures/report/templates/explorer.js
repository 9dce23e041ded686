"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("controls");
  const answer = document.getElementById("answer");
  const state = document.getElementById("state");
  const told = document.getElementById("told");

  const query = () => {
    const values = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const slider = data.sliders[name];
      values.set(name, slider ? slider.values[Number(value)] : value);
    }
    return values.toString();
  };

  // One question at a time: while one is under way, only the newest setting waits. A setting that
  // rests is asked again with more senses, until there are enough.
  const REST_MS = 250;
  let wanted = query(), shown = "", senses = 0, moved = 0, busy = false, timer = 0;

  const ask = async (asked, number) => {
    busy = true;
    try {
      const response = await fetch(`answer?${asked}&senses=${number}`);
      const text = await response.text();
      [shown, senses] = [asked, response.ok ? number : data.most];
      if (response.ok) draw(text);
      else state.textContent = text;
    } catch {
      [shown, senses] = [asked, data.most];
      state.textContent = "The explorer has ended; start it again with rramsim explore.";
    }
    busy = false;
    next();
  };
  // Only what differs is exchanged, so that focus and scrolled tables stay where they are.
  const patch = (old, fresh) => {
    const [was, is] = [[...old.childNodes], [...fresh.childNodes]];
    if (old.nodeName !== fresh.nodeName || was.length !== is.length) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name, value } of fresh.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    was.forEach((child, index) => patch(child, is[index]));
  };
  const draw = (text) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = text;
    if (answer.firstElementChild) patch(answer.firstElementChild, fresh.content.firstElementChild);
    else answer.append(fresh.content);
    answer.dataset.shown = shown;
    answer.dataset.senses = senses;
    const found = answer.firstElementChild.dataset;
    state.textContent = found.summary;
    if (senses === data.most) told.textContent = found.told;
  };
  const next = () => {
    clearTimeout(timer);
    if (busy) return;
    if (shown !== wanted) ask(wanted, data.step);
    else if (senses < data.most) {
      const rest = Math.max(0, moved + REST_MS - performance.now());
      timer = setTimeout(() => ask(wanted, senses + data.step), rest);
    }
  };

  form.addEventListener("input", (event) => {
    const slider = data.sliders[event.target.name];
    if (slider) {
      const text = slider.texts[Number(event.target.value)];
      document.getElementById(`${event.target.name}-text`).textContent = text;
      event.target.setAttribute("aria-valuetext", text);
    }
    [wanted, moved] = [query(), performance.now()];
    next();
  });
  const [find, finding] = ["find", "finding"].map((name) => document.getElementById(name));
  find.addEventListener("click", async () => {
    find.disabled = true;
    finding.textContent = "Finding the rates of this setting …";
    try {
      const response = await fetch(`rates?${wanted}`);
      const text = await response.text();
      if (response.ok) document.getElementById("found").innerHTML = text;
      finding.textContent = response.ok ? "" : text;
    } catch {
      finding.textContent = "The explorer has ended; start it again with rramsim explore.";
    }
    find.disabled = false;
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  next();
})();
