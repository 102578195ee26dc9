/** Standard normal quantile at 0.9. */
export const z90 = 1.2815515655446004;
export const dayMs = 86_400_000;
