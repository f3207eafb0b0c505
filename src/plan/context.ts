// What every section of the estimate works with: the file, the sheet that figures are entered in, and inputs by their path.
// Types and a constructor; computes nothing.

import type { CheckedSystem, CheckedWorkload } from '../file/index.ts'
import type { Functions } from './expression.ts'
import type { Prices } from './prices.ts'
import type { Unit } from './quantity.ts'
import { Sheet, type Term } from './sheet.ts'

export interface PlanOptions {
  /** The load times this; default 1. */
  readonly times?: number
  /** After so many years of the file's growth; default 0. */
  readonly growthYears?: number
}

export interface Context {
  readonly system: CheckedSystem
  readonly workload: CheckedWorkload
  readonly sheet: Sheet
  readonly times: number
  readonly years: number
  readonly prices: Prices
  /** @param path below `workload` */
  told(path: string, value: number, unit: Unit): Term
  /** A key outside `workload`, which has a value whether it was written or not. */
  has(path: string, value: number, unit: Unit): Term
  /** What no key says. */
  assume(path: string, value: number, unit: Unit): Term
  price(name: keyof Prices['prices']): Term
  option(flag: string, value: number, unit: Unit): Term
}

export function createContext(
  system: CheckedSystem,
  workload: CheckedWorkload,
  prices: Prices,
  options: PlanOptions,
  functions: Functions,
  factors: ReadonlyMap<string, number>,
): Context {
  const sheet = new Sheet(functions, factors)
  const said = new Set(workload.said)
  return {
    system,
    workload,
    sheet,
    times: options.times ?? 1,
    years: options.growthYears ?? 0,
    prices,
    told: (path, value, unit) =>
      sheet.input(
        said.has(path.split('[')[0] as string) ? 'file' : 'assumed',
        `workload.${path}`,
        value,
        unit,
      ),
    has: (path, value, unit) => sheet.input('file', path, value, unit),
    assume: (path, value, unit) => sheet.input('assumed', path, value, unit),
    price: name => sheet.input('price', `prices.${name}`, prices.prices[name], 'money'),
    option: (flag, value, unit) => sheet.input('option', flag, value, unit),
  }
}

/** A name that a formula can have. */
export const nameIn = (name: string): string => name.replaceAll(/[^A-Za-z0-9]/g, '_')
