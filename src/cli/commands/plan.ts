// `tenfold plan`: loads and checks the file, estimates what its workload asks for, and shows it beside what the file has.
// Starts nothing.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Failure } from '../../kit/failure.ts'
import { downtime, nines, type Plan, type Prices, planOf, pricesOf, timeText } from '../../plan/index.ts'
import { loadSystem } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { cliFailures } from '../failures.ts'
import { explainLines, listLines, planLines } from '../plan-text.ts'
import { tableLines } from '../terminal.ts'

/** In the package, beside the sources and what is built of them. */
const ownPrices = new URL('../../../prices/2026-11.json', import.meta.url)
const priceBytesMax = 100_000

export const plan: Action = async input => {
  const { terminal, json, options } = input
  if (options.nines === true) return ninesTable(input)
  const times = numberOf('--times', options.times, 1)
  const growthYears = numberOf('--growth-years', options.growthYears, 0)
  const prices = readPrices(typeof options.prices === 'string' ? options.prices : undefined)
  const { system, file } = await loadSystem(input.file, { environment: input.environment ?? null })
  const made = planOf(system, prices, { times, growthYears })
  if (!made.ok) {
    const [first] = made.problems
    const missing = first?.path === 'workload'
    const told = made.problems.map(({ path, message, remedy }) => `${path} ${message}. ${remedy}`).join('\n')
    throw new Failure(
      missing ? cliFailures.workloadMissing : cliFailures.optionInvalid,
      missing ? `${file}: ${told}` : told,
    )
  }
  const paint = terminal.paint.bind(terminal)
  if (options.explain !== undefined && options.explain !== false) return explain(input, made.plan)
  if (json) terminal.print(JSON.stringify(made.plan))
  else for (const line of planLines(made.plan, paint)) terminal.print(line)
  return 0
}

function explain({ terminal, json, options }: CommandInput, made: Plan): 0 {
  const paint = terminal.paint.bind(terminal)
  const wanted = options.explain === true ? null : String(options.explain)
  const found =
    wanted === null
      ? made.quantities
      : made.quantities.filter(
          one => one.id === wanted || one.id.startsWith(`${wanted}.`) || one.section === wanted,
        )
  if (found.length === 0)
    throw new Failure(
      cliFailures.figureUnknown,
      `The plan has no figure '${wanted}'. Figures are for example ${made.quantities
        .slice(-3)
        .map(one => one.id)
        .join(', ')}.`,
    )
  if (json) terminal.print(JSON.stringify({ quantities: found }))
  else if (wanted === null) for (const line of listLines(made, paint)) terminal.print(line)
  else
    for (const [at, one] of found.entries()) {
      if (at > 0) terminal.print('')
      for (const line of explainLines(made, one, paint)) terminal.print(line)
    }
  return 0
}

function ninesTable({ terminal, json }: CommandInput): 0 {
  const rows = nines.flatMap(up => {
    const made = downtime(1 - up)
    return made.ok ? [{ availability: up, ...made.value }] : []
  })
  if (json) {
    terminal.print(JSON.stringify({ nines: rows }))
    return 0
  }
  const lines = tableLines(
    ['up', 'down a year', 'a month (30 d)', 'a week', 'a day'].map(title => ({
      title,
      align: 'right' as const,
    })),
    rows.map(one => [
      `${Number((one.availability * 100).toFixed(6))} %`,
      timeText(one.perYearSeconds),
      timeText(one.perMonthSeconds),
      timeText(one.perWeekSeconds),
      timeText(one.perDaySeconds),
    ]),
  )
  for (const line of lines) terminal.print(line)
  return 0
}

function numberOf(flag: string, text: string | boolean | undefined, unsaid: number): number {
  if (text === undefined) return unsaid
  if (typeof text === 'string' && /^\d{1,9}(?:\.\d{1,6})?$/.test(text)) return Number(text)
  throw new Failure(cliFailures.optionInvalid, `${flag} ${text} is no number: write one such as 10 or 2.5.`)
}

function readPrices(path: string | undefined): Prices {
  const file = path === undefined ? ownPrices : resolve(path)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Failure(cliFailures.pricesInvalid, `The price file ${path} can't be read.`, { cause })
  }
  const made = text.length > priceBytesMax ? { why: `is larger than ${priceBytesMax} bytes` } : parsed(text)
  if ('why' in made)
    throw new Failure(cliFailures.pricesInvalid, `The price file ${path ?? ownPrices.pathname} ${made.why}.`)
  return made
}

function parsed(text: string): Prices | { readonly why: string } {
  try {
    return pricesOf(JSON.parse(text))
  } catch {
    return { why: 'is no JSON' }
  }
}
