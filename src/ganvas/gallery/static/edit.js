"use strict";
// The page Edit: images follow the sliders, and edits can be undone. Without this file, the button
// Apply shows the edited image.

for (const form of document.querySelectorAll("[data-edit]")) {
  const after = form.querySelector("[data-after]"), before = form.querySelector("[data-before]");
  const status = form.querySelector("[data-status]");
  const permalink = document.querySelector("[data-permalink]");
  const compare = form.querySelector("[data-compare]");
  const undo = form.querySelector("[data-undo]"), redo = form.querySelector("[data-redo]");
  const heart = form.querySelector("[data-favorite]");
  const controls = [...form.querySelectorAll(".sliders :is(input, select)")];
  // What the sliders are at, without edits: the server marks each control with it.
  const original = controls.map((control) => control.dataset.original);
  const report = (text) => { status.textContent = text; };

  // Snapshots of the controls' values, and which of them is shown.
  const read = () => controls.map((control) => control.value);
  let states = [read()], position = 0;

  // The fields of the shown point, without those that are as they were.
  const pointFields = () => {
    const fields = [...form.querySelectorAll(":scope > input[type=hidden]")]
      .map((input) => [input.name, input.value]).filter(([name]) => name !== "base_truncation");
    const named = new Map(controls.map((control, i) => [control.name, { control, original: original[i] }]));
    for (const fieldset of form.querySelectorAll("[data-choice]")) {
      const names = ["label", "mix", "share"].map((part) => `${part}.${fieldset.dataset.choice}`);
      const [label, mix, share] = names.map((name) => named.get(name)?.control.value ?? "");
      const mixed = mix && mix !== label && Number(share) > 0;
      const text = (parts) => JSON.stringify(mixedParts(parts));
      const mixedParts = ([a, b, c]) => (b && b !== a && Number(c) > 0 ? [a, b, Number(c)] : [a]);
      const same = text([label, mix, share]) === text(names.map((name) => named.get(name)?.original ?? ""));
      names.forEach((name) => named.delete(name));
      if (same || !label) continue;
      fields.push([names[0], label]);
      if (mixed) fields.push([names[1], mix], [names[2], share]);
    }
    for (const [name, { control }] of named) {
      const neutral = name === "truncation" ? 1 : 0;
      if (Number(control.value) !== neutral) fields.push([name, control.value]);
    }
    return fields;
  };

  const update = () => {
    for (const fieldset of form.querySelectorAll("[data-choice]")) {
      const mix = fieldset.querySelector("select[name^='mix.']");
      // There is no share of no second value.
      if (mix) fieldset.querySelector("input").disabled = !mix.value;
    }
    undo.disabled = position === 0;
    redo.disabled = position === states.length - 1;
    for (const output of form.querySelectorAll("output[data-of]")) output.value = form.elements[output.dataset.of].value;
    const fields = pointFields();
    const own = fields.filter(([name]) => !["model", "version"].includes(name));
    const edited = own.some(([name]) => name.includes("."));
    heart.dataset.favorite = JSON.stringify(edited || !form.dataset.favoriteSeed ? {
      model: form.elements.model.value,
      version: form.elements.version.value,
      point: new URLSearchParams(own).toString(),
      title: form.dataset.start + (edited ? ", edited" : ""),
    } : { ...JSON.parse(form.dataset.favoriteSeed), truncation: Number(form.elements.truncation.value) });
    heart.dispatchEvent(new Event("favorite"));
    const base = form.elements.base_truncation;
    if (base.value !== form.elements.truncation.value) fields.push(["base_truncation", base.value]);
    if (!permalink) return;
    permalink.href = `${form.dataset.page}?${new URLSearchParams(fields)}`;
    history.replaceState(null, "", permalink.href);
  };

  // The image and text of the edits, while those before them stand in their place.
  let shown = null;

  // Only the answer to the newest request is shown, and requests wait for a pause of the slider.
  let timer = null, running = null;
  const show = () => {
    clearTimeout(timer);
    form.setAttribute("aria-busy", "true");
    timer = setTimeout(async () => {
      running?.abort();
      const own = running = new AbortController();
      report("Generating…");
      try {
        const body = new URLSearchParams(new FormData(form));
        const response = await request(form.dataset.image, body, report, own.signal);
        const uri = await toDataUri(await response.blob());
        if (own.signal.aborted) return;
        // While the image before the edits is shown, the new one waits.
        if (shown) shown = [uri, "After the edits"];
        else Object.assign(after, { src: uri, alt: "After the edits" });
        report("Updated.");
      } catch (error) {
        if (own.signal.aborted) return;
        report(error.message);
      }
      form.removeAttribute("aria-busy");
    }, 120);
  };

  const apply = (values) => {
    controls.forEach((control, i) => { control.value = values[i]; });
    update();
    show();
  };
  const remember = () => {
    if (JSON.stringify(read()) === JSON.stringify(states[position])) return;
    states = [...states.slice(0, position + 1), read()];
    position = states.length - 1;
    update();
  };
  const go = (by) => {
    if (!states[position + by]) return;
    position += by;
    apply(states[position]);
  };

  for (const mix of form.querySelectorAll("select[name^='mix.']")) {
    const share = mix.closest("fieldset").querySelector("input");
    // A second value begins with half of the weight.
    mix.addEventListener("change", () => { share.value = mix.value ? Number(share.value) || 0.5 : 0; });
  }
  for (const control of controls) {
    const follow = () => { update(); show(); };
    control.addEventListener(control.tagName === "SELECT" ? "change" : "input", follow);
    control.addEventListener("change", remember);
    // A double click puts a slider back to where it was.
    control.addEventListener("dblclick", () => {
      control.value = original[controls.indexOf(control)];
      remember();
      show();
    });
  }
  undo.addEventListener("click", () => go(-1));
  redo.addEventListener("click", () => go(1));
  document.addEventListener("keydown", (event) => {
    const writes = event.target.matches?.("input[type=number], input[type=text], textarea");
    if (writes || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    go(event.shiftKey ? 1 : -1);
  });
  form.querySelector("[data-reset]")?.addEventListener("click", (event) => {
    event.preventDefault();
    apply(original);
    remember();
  });

  // The image before the edits stands in place of the one after while the button is pressed in.
  const swap = (pressed) => {
    if (pressed === (shown !== null)) return;
    if (pressed) { shown = [after.src, after.alt]; after.src = before.src; after.alt = before.alt; }
    else { [after.src, after.alt] = shown; shown = null; }
    compare.setAttribute("aria-pressed", pressed);
    after.closest("figure").querySelector("figcaption").textContent = pressed ? "Before" : "After";
  };
  compare.addEventListener("click", () => swap(shown === null));
  form.addEventListener("input", () => swap(false));
  for (const [name, pressed] of [["pointerdown", true], ["pointerup", false], ["pointerleave", false], ["pointercancel", false]]) {
    after.addEventListener(name, () => swap(pressed));
  }

  form.querySelector("[data-history]").hidden = false;
  form.querySelector("[data-apply]").hidden = true;
  for (const button of form.querySelectorAll("button[data-reset]")) button.hidden = false;
  form.addEventListener("submit", (event) => {
    // The Enter key has nothing to send: the image is shown already.
    if (event.submitter?.dataset.leave === undefined) event.preventDefault();
  });
  // After the Back button, the browser restores the sliders.
  window.addEventListener("pageshow", () => {
    if (JSON.stringify(read()) === JSON.stringify(states[position])) return;
    remember();
    show();
  });
  update();
}
