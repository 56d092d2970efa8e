"use strict";
// Without this file, everything works but the interpolation slider.

for (const output of document.querySelectorAll("output[data-of]")) {
  const input = output.closest("form").elements[output.dataset.of];
  input.addEventListener("input", () => { output.value = input.value; });
}

for (const interpolation of document.querySelectorAll(".interpolation")) {
  const steps = Number(interpolation.dataset.steps);
  const strip = interpolation.querySelector(".strip");
  const slider = interpolation.querySelector("[data-slides]");
  const button = interpolation.querySelector("[data-plays]");
  let timer = null;
  const show = () => { strip.style.transform = `translateX(${-100 * slider.value / steps}%)`; };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  slider.addEventListener("input", show);
  slider.addEventListener("pointerdown", stop);
  button.addEventListener("click", () => {
    if (timer) return stop();
    let forward = Number(slider.value) < steps - 1;
    button.textContent = "Stop";
    timer = setInterval(() => {
      const next = Number(slider.value) + (forward ? 1 : -1);
      if (next >= steps - 1 || next <= 0) forward = !forward;
      slider.value = next;
      show();
    }, 90);
  });
  show();
}
