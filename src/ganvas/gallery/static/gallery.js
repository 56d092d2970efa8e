"use strict";
// Everything but sliding works without this file.

for (const output of document.querySelectorAll("output[data-of]")) {
  const input = output.closest("form").elements[output.dataset.of];
  input.addEventListener("input", () => { output.value = input.value; });
}

for (const stroll of document.querySelectorAll(".stroll")) {
  const steps = Number(stroll.dataset.steps);
  const strip = stroll.querySelector(".strip");
  const slider = stroll.querySelector("[data-slides]");
  const button = stroll.querySelector("[data-plays]");
  let timer = null;
  const show = () => { strip.style.transform = `translateX(${-100 * slider.value / steps}%)`; };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  slider.addEventListener("input", show);
  slider.addEventListener("pointerdown", stop);
  button.addEventListener("click", () => {
    if (timer) return stop();
    let onwards = Number(slider.value) < steps - 1;
    button.textContent = "Stop";
    timer = setInterval(() => {
      const next = Number(slider.value) + (onwards ? 1 : -1);
      if (next >= steps - 1 || next <= 0) onwards = !onwards;
      slider.value = next;
      show();
    }, 90);
  });
  show();
}
