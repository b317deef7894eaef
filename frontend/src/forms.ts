// Small help in forms. The server checks everything again; nothing here is relied upon.
import { origin } from "./dom";

for (const box of document.querySelectorAll<HTMLInputElement>("[data-mixed]")) box.indeterminate = true;

/** data-select-all="name": one box in a table's head ticks every box of that name in the same form or table. */
function selectAll(box: HTMLInputElement): void {
  const within = box.closest("form, table") ?? document;
  const name = CSS.escape(box.dataset["selectAll"] ?? "");
  for (const one of within.querySelectorAll<HTMLInputElement>(`input[type=checkbox][name="${name}"]`)) {
    one.checked = box.checked;
  }
}

document.addEventListener("change", (event) => {
  const all = origin<HTMLInputElement>(event, "input[data-select-all]");
  if (all) selectAll(all);
  // data-autosubmit: a filter takes effect at once; its button stays for those without script.
  origin<HTMLSelectElement>(event, "[data-autosubmit]")?.form?.requestSubmit();
});

// A second click on a button whose form is under way would send it again. After a while it may, so that a form that
// answers with a download can be used twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset["sent"] !== undefined) event.preventDefault();
  form.dataset["sent"] = "";
  setTimeout(() => delete form.dataset["sent"], 3000);
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-sent]")) delete form.dataset["sent"];
});

// data-copy="id": copies that element's text and says so where screen readers hear it.
document.addEventListener("click", (event) => {
  const button = origin(event, "[data-copy]");
  const from = button && document.getElementById(button.dataset["copy"] ?? "");
  if (!button || !from) return;
  const text = from instanceof HTMLInputElement ? from.value : (from.textContent ?? "");
  void navigator.clipboard?.writeText(text).then(() => {
    const say = document.getElementById("say");
    if (say) say.textContent = button.dataset["copied"] ?? "";
  });
});
