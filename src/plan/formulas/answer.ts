// What a formula gives: a value, or why there is none. A formula never throws and never gives NaN: an argument that can't
// be is named with what is allowed, and a system without a steady state is said to be unstable instead of given a mean.

export interface Impossible {
  readonly ok: false
  /** True: the arguments are sound, but work comes faster than it can be done, so that no mean exists. */
  readonly unstable: boolean
  /** One sentence. */
  readonly why: string
}
export interface Given<T> {
  readonly ok: true
  readonly value: T
}
export type Answer<T> = Given<T> | Impossible

/** @param value a number, or figures in an object; what arguments near the ends of a double overflowed is refused */
export function given<T>(value: T): Answer<T> {
  const figures: readonly unknown[] =
    typeof value === 'object' && value !== null ? Object.values(value) : [value]
  for (const figure of figures)
    if (typeof figure === 'number' && !Number.isFinite(figure))
      return impossible(
        'the result is beyond what a number can hold; the arguments must be of a sensible size',
      )
  return { ok: true, value }
}

export function impossible(why: string): Impossible {
  return { ok: false, unstable: false, why }
}

/** @param rho utilisation, 1 or more */
export function unstable(rho: number): Impossible {
  const share = Number.isFinite(rho) ? `${Number((rho * 100).toPrecision(4))} %` : 'more than can be counted'
  return {
    ok: false,
    unstable: true,
    why: `unstable: the work that comes is ${share} of what can be done; the queue grows without end, so there is no mean`,
  }
}

/** @returns the value inside, handed on to `next`; a refusal goes through */
export function then<T, U>(answer: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return answer.ok ? next(answer.value) : answer
}

/** The checks of arguments: a sentence about the first that can't be, or null. */
export type Check = string | null

export function firstWrong(...checks: readonly Check[]): Impossible | null {
  for (const check of checks) if (check !== null) return impossible(check)
  return null
}

/** The same check of each of a list, by its place from 1. */
export function everyOne(
  name: string,
  values: readonly number[],
  check: (name: string, value: number) => Check,
): Impossible | null {
  for (const [at, value] of values.entries()) {
    const wrong = check(`${name} ${at + 1}`, value)
    if (wrong !== null) return impossible(wrong)
  }
  return null
}

/** Above 0. */
export function positive(name: string, value: number): Check {
  return value > 0 && value < Number.POSITIVE_INFINITY
    ? null
    : `${name} is ${value}; it must be a finite number above 0`
}

/** 0 and more. */
export function notNegative(name: string, value: number): Check {
  return value >= 0 && value < Number.POSITIVE_INFINITY
    ? null
    : `${name} is ${value}; it must be a finite number of 0 or more`
}

/** From 0 to 1, both allowed. */
export function share(name: string, value: number): Check {
  return value >= 0 && value <= 1 ? null : `${name} is ${value}; it must be from 0 to 1`
}

/** Strictly between 0 and 1: quantiles, targets that nothing reaches exactly. */
export function inside(name: string, value: number): Check {
  return value > 0 && value < 1 ? null : `${name} is ${value}; it must be above 0 and below 1`
}

export function whole(name: string, value: number, least: number, most: number): Check {
  return Number.isInteger(value) && value >= least && value <= most
    ? null
    : `${name} is ${value}; it must be a whole number from ${least} to ${most}`
}
