// When a value is loaded again before it expires. Pure: numbers in, numbers out.
//
// XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", 2015): reload when
// now - load * beta * ln(random) >= expiry. The dearer the load and the nearer the end, the likelier; among any number
// of processes about one goes first, without asking the others.

/** -ln of the smallest random number of 32 bits: nobody reloads earlier than so many loads before the end. */
const reachMax = 32 * Math.LN2

/** Until then no random number can ask for an early load: hits need not draw one. */
export function calmUntil(freshUntil: number, loadUs: number, beta: number): number {
  return freshUntil - loadUs * beta * reachMax
}

/** @param random uniform in [0, 1); 0 counts as the smallest that 32 bits have */
export function loadsEarly(
  now: number,
  freshUntil: number,
  loadUs: number,
  beta: number,
  random: number,
): boolean {
  return now - loadUs * beta * Math.log(Math.max(random, 2 ** -32)) >= freshUntil
}

/** A time to live, shortened by up to `share` so that what was stored together does not expire together. */
export function jittered(ttlUs: number, share: number, random: number): number {
  return ttlUs * (1 - share * random)
}
