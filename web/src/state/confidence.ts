/** From where on a reading counts as doubtful. Measured engines sit above 0.9 on what they read rightly. */

export const DOUBTFUL = 0.8;

export function isDoubtful(confidence: number | null): boolean {
  return confidence !== null && confidence < DOUBTFUL;
}
