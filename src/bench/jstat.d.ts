/** jstat ships no types; this is the one function of it that is used. */
declare module 'jstat' {
  interface StudentT {
    /** P(T <= x) for Student's t distribution with `degreesOfFreedom`. */
    cdf(x: number, degreesOfFreedom: number): number;
  }
  const jStat: { readonly studentt: StudentT };
  export default jStat;
}
