/** The identifiers of our commands, as package.json contributes them. Knows nothing of what they do. */

export const COMMAND = {
  enable: "greenCode.enable",
  disable: "greenCode.disable",
  toggle: "greenCode.toggle",
  toggleLanguage: "greenCode.toggleLanguage",
  toggleFile: "greenCode.toggleFile",
  choosePreset: "greenCode.choosePreset",
  setGreenMode: "greenCode.setGreenMode",
  chooseModel: "greenCode.chooseModel",
  setRemoteToken: "greenCode.setRemoteToken",
  snooze: "greenCode.snooze",
  wakeUp: "greenCode.wakeUp",
  showHistory: "greenCode.showHistory",
  resetSession: "greenCode.resetSession",
  restart: "greenCode.restart",
  showLog: "greenCode.showLog",
  doctor: "greenCode.doctor",
  installServer: "greenCode.installServer",
  repairServer: "greenCode.repairServer",
  addTorch: "greenCode.addTorch",
  openWalkthrough: "greenCode.openWalkthrough",
  showMenu: "greenCode.showMenu",
} as const;

export type CommandId = (typeof COMMAND)[keyof typeof COMMAND];

/** The view of the slider, and the command that VS Code makes to open it. */
export const SLIDER_VIEW = "greenCode.slider";
export const OPEN_SLIDER = `${SLIDER_VIEW}.focus`;
