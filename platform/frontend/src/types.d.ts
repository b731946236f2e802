// @alpinejs/csp ships no types; only what app.ts uses.
declare module "@alpinejs/csp" {
  const Alpine: {
    start(): void;
    data(name: string, factory: (...values: never[]) => object): void;
    store(name: string, value: object): void;
  };
  export default Alpine;
}
