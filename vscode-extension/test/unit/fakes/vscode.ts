/** Stands in for the editor's module in unit tests: settings in memory, by scope. */

export enum ConfigurationTarget {
  Global = 1,
  Workspace = 2,
}

interface Scopes {
  defaultValue?: unknown;
  globalValue?: unknown;
  workspaceValue?: unknown;
}

/** The settings of the test at hand, by name without the section. */
export const configuration = new Map<string, Scopes>();

interface Section {
  get(name: string): unknown;
  inspect(name: string): Scopes | undefined;
  update(name: string, value: unknown, target: ConfigurationTarget): Promise<void>;
}

const SECTION: Section = {
  get(name) {
    const scopes = configuration.get(name);
    return scopes?.workspaceValue ?? scopes?.globalValue ?? scopes?.defaultValue;
  },
  inspect: (name) => configuration.get(name),
  update(name, value, target) {
    const scope = target === ConfigurationTarget.Workspace ? "workspaceValue" : "globalValue";
    configuration.set(name, { ...configuration.get(name), [scope]: value });
    return Promise.resolve();
  },
};

export const workspace = { getConfiguration: (): Section => SECTION };
