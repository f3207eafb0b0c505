// Special functions and root finding, for the formulas beside it. Sources: Lanczos (1964) for the gamma function, series and
// continued fraction of the incomplete gamma function as in Abramowitz & Stegun 6.5.29 and 6.5.31.

const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const

/** ln Γ(x) for x > 0, to about 14 digits. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const z = x - 1
  let sum: number = lanczos[0]
  for (let i = 1; i < lanczos.length; i++) sum += (lanczos[i] as number) / (z + i)
  const t = z + 7.5
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum)
}

/** ln of n over k, for 0 <= k <= n. */
export function logChoose(n: number, k: number): number {
  return k === 0 || k === n ? 0 : logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1)
}

/** Upper tail Q(a, x) = P(Gamma(a, 1) > x), for a > 0, x >= 0: for a whole `a`, an Erlang tail. */
export function gammaTail(a: number, x: number): number {
  if (x <= 0) return 1
  const front = Math.exp(a * Math.log(x) - x - logGamma(a))
  if (x < a + 1) return Math.max(0, 1 - front * lowerSeries(a, x))
  return front * upperFraction(a, x)
}

const termsMax = 100_000

function lowerSeries(a: number, x: number): number {
  let term = 1 / a
  let sum = term
  for (let n = 1; n < termsMax && term > sum * 1e-17; n++) {
    term *= x / (a + n)
    sum += term
  }
  return sum
}

/** Lentz's method. */
function upperFraction(a: number, x: number): number {
  const tiny = 1e-300
  let b = x + 1 - a
  let c = 1 / tiny
  let d = 1 / b
  let h = d
  for (let i = 1; i < termsMax; i++) {
    const an = -i * (i - a)
    b += 2
    d = an * d + b
    d = 1 / (Math.abs(d) < tiny ? tiny : d)
    c = b + an / c
    if (Math.abs(c) < tiny) c = tiny
    const factor = d * c
    h *= factor
    if (Math.abs(factor - 1) < 1e-16) break
  }
  return h
}

/** P(standard normal <= x). */
export function normalCdf(x: number): number {
  const tail = 0.5 * gammaTail(0.5, (x * x) / 2)
  return x > 0 ? 1 - tail : tail
}

export function normalDensity(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
}

/** (1 − e^(−x)) / x, 1 at 0: for x >= 0 without cancellation. */
export function meanDecay(x: number): number {
  return x === 0 ? 1 : -Math.expm1(-x) / x
}

/** Where a function that rises with x becomes positive, between `low` and `high`; to the last bits of a double. */
export function rootOf(rising: (x: number) => number, low: number, high: number): number {
  let a = low
  let b = high
  for (let step = 0; step < 200; step++) {
    const middle = a + (b - a) / 2
    if (middle <= a || middle >= b) break
    if (rising(middle) < 0) a = middle
    else b = middle
  }
  return b
}

/** The x >= 0 at which a tail P(X > x), which falls from 1 or less to 0, is `left`; 0 when it starts below. */
export function tailQuantile(tail: (x: number) => number, left: number, scale: number): number {
  if (tail(0) <= left) return 0
  let high = scale
  for (let step = 0; step < 1000 && tail(high) > left; step++) high *= 2
  return rootOf(x => left - tail(x), 0, high)
}

/** The least whole number from `low` to `high` for which `holds`, which once true stays true; null: for none. */
export function leastWhole(holds: (n: number) => boolean, low: number, high: number): number | null {
  let reach = low
  let below = low - 1
  for (let step = 1; !holds(reach); step *= 2) {
    if (reach >= high) return null
    below = reach
    reach = Math.min(high, reach + step)
  }
  while (reach - below > 1) {
    const middle = Math.floor((below + reach) / 2)
    if (holds(middle)) reach = middle
    else below = middle
  }
  return reach
}
