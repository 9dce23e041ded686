"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("controls");
  const answer = document.getElementById("answer");
  const state = document.getElementById("state");

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
  let wanted = query(), busy = false;
  const ask = async () => {
    if (busy) return;
    busy = true;
    let shown = null, senses = 0;
    try {
      while (shown !== wanted || senses < data.most) {
        senses = shown === wanted ? senses + data.step : data.step;
        const asked = wanted;
        const response = await fetch(`answer?${asked}&senses=${senses}`);
        const text = await response.text();
        if (!response.ok) {
          state.textContent = text;
          if (asked === wanted) break;
          continue;
        }
        shown = asked;
        answer.innerHTML = text;
        answer.dataset.shown = asked;
        answer.dataset.senses = senses;
        state.textContent = answer.firstElementChild.dataset.summary;
      }
    } catch {
      state.textContent = "The explorer has ended; start it again with rramsim explore.";
    }
    busy = false;
  };

  form.addEventListener("input", (event) => {
    const slider = data.sliders[event.target.name];
    if (slider) {
      const text = slider.texts[Number(event.target.value)];
      document.getElementById(`${event.target.name}-text`).textContent = text;
      event.target.setAttribute("aria-valuetext", text);
    }
    wanted = query();
    ask();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  ask();
})();
