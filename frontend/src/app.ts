// Every page works without this file; it makes some of them quicker to use.
import "./menus";
import "./own-time";
import "./dialogs";
import "./filter";
import "./forms";
import "./swaps";
import "./theme-switch";
