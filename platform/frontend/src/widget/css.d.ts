// esbuild gives the text of a style sheet that the loader adopts.
declare module "*.css" {
  const text: string;
  export default text;
}
