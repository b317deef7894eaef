"use strict";(()=>{matchMedia("(prefers-color-scheme: dark)").matches&&(document.documentElement.dataset.bsTheme="dark");})();
