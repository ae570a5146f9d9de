interface Teardown {
  teardown(fn: () => void): void;
}

/** Sets variables of this process's environment (undefined: takes them away) until the test ends. */
export function useEnvironment(t: Teardown, variables: Readonly<Record<string, string | undefined>>): void {
  const set = (values: Readonly<Record<string, string | undefined>>) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]));
  set(variables);
  t.teardown(() => set(before));
}
