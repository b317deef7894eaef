// The switch is a form that posts and comes back; with script it changes the page at once and posts beside it.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset["themeForm"] === undefined) return;
  if (event.defaultPrevented) return;
  const field = form.elements.namedItem("theme");
  if (!(field instanceof HTMLInputElement)) return;
  event.preventDefault();
  const body = new FormData(form);
  void fetch(form.action, { method: "POST", body, redirect: "manual" }).then(
    (answer) => {
      if (!answer.ok && answer.type !== "opaqueredirect") return form.submit();
      document.documentElement.dataset["bsTheme"] = field.value;
      field.value = field.value === "dark" ? "light" : "dark";
      delete form.dataset["sent"];
    },
    () => form.submit(),
  );
});
