// Runs before the first paint on pages whose reader has not chosen a theme yet: follow the system.
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.dataset["bsTheme"] = "dark";
