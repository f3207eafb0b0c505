// `tenfold simulate`: plays rehearsals of the file in virtual time and shows what came out. Starts nothing of the system.

import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { CheckedRehearsal, CheckedSystem, CheckedWorkload } from '../../file/index.ts'
import { Failure } from '../../kit/failure.ts'
import {
  compareLines,
  compareResults,
  defaultRehearsal,
  digits,
  enlarged,
  faultText,
  htmlReport,
  Shrinker,
  Simulation,
  type SimulationResult,
  sampled,
  summaryLines,
  type TraceCounts,
} from '../../sim/index.ts'
import { loadSystem } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { untilInterrupted } from '../connection.ts'
import { cliFailures } from '../failures.ts'
import { readTrace } from '../trace-file.ts'

/** Between two looks at the clock and at Ctrl-C. */
const eventsAtOnce = 100_000
const widthWithoutTerminal = 110

export const simulate: Action = async input => {
  const { terminal, json, args, options } = input
  const { system, file } = await loadSystem(input.file, { environment: input.environment ?? null })
  const { workload } = system
  if (workload === undefined)
    throw new Failure(
      cliFailures.workloadMissing,
      `${file} has no 'workload': what people do is not known. Add for example workload: { actions: { pages: { rate: '50/s', path: '/' } } }.`,
    )
  const chosen = rehearsalsOf(system, args.rehearsal)
  if (options.list === true) return list(input, chosen)
  const seed = options.seed === undefined ? undefined : seedOf(String(options.seed))
  let failed = 0
  const results: SimulationResult[] = []
  for (const one of chosen) {
    const rehearsal = { ...one, ...(seed === undefined ? {} : { seed }) }
    const trace = traceOf(rehearsal, file)
    const given = { system, workload, rehearsal }
    const result = await play(input, given, trace)
    if (result === null) return 130
    results.push(result)
    if (isBad(result)) failed++
    if (json) continue
    if (results.length > 1) terminal.print('')
    const width = terminal.columns || widthWithoutTerminal
    const paint = terminal.paint.bind(terminal)
    for (const line of summaryLines(result, { width, paint, decisionsMax: 20 })) terminal.print(line)
    if (options.compare !== undefined && !(await compare(input, given, result, trace))) return 130
    if (options.shrink === true && isBad(result) && !(await shrink(input, given, trace))) return 130
  }
  if (json) terminal.print(JSON.stringify({ results }))
  if (options.html !== undefined) writePage(input, results, String(options.html))
  return options.check === true && failed > 0 ? 1 : 0
}

function writePage(
  { terminal, json }: CommandInput,
  results: readonly SimulationResult[],
  path: string,
): void {
  const page = htmlReport(
    results,
    ({ rehearsal, seed, method }) =>
      `tenfold simulate ${rehearsal} --seed ${seed}${method.kind === 'sampled' ? ` --sample ${method.k}` : ''}`,
  )
  try {
    writeFileSync(path, page)
  } catch (cause) {
    throw new Failure(
      cliFailures.optionInvalid,
      `--html ${path} can't be written: ${(cause as Error).message}.`,
      { cause },
    )
  }
  if (!json) terminal.print(`\nwritten: ${path}`)
}

function isBad({ unstable, expectations }: SimulationResult): boolean {
  return unstable.length > 0 || expectations.some(({ verdict }) => verdict === 'failed')
}

function rehearsalsOf(system: CheckedSystem, name: string | undefined): CheckedRehearsal[] {
  const all = Object.values(system.rehearsals)
  if (name === undefined) return all.length > 0 ? all : [defaultRehearsal]
  const own = Object.hasOwn(system.rehearsals, name) ? system.rehearsals[name] : undefined
  const found = own ?? (name === defaultRehearsal.name ? defaultRehearsal : undefined)
  if (found !== undefined) return [found]
  const known = [...new Set([...Object.keys(system.rehearsals), defaultRehearsal.name])].join(', ')
  throw new Failure(
    cliFailures.rehearsalUnknown,
    `'${name}' is no rehearsal of the file. There are: ${known}.`,
  )
}

function list({ terminal, json }: CommandInput, rehearsals: readonly CheckedRehearsal[]): 0 {
  if (json) terminal.print(JSON.stringify({ rehearsals }))
  else
    for (const { name, about, durationMs, faults, expect } of rehearsals)
      terminal.print(
        `${name}  ${digits(durationMs / 60_000)} min, ${faults.length} faults, ${expect.length} expectations${about === null ? '' : `  ${about}`}`,
      )
  return 0
}

function seedOf(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text)
  throw new Failure(
    cliFailures.optionInvalid,
    `--seed ${text} is no seed: write a whole number from 0 to 4294967295.`,
  )
}

function traceOf(rehearsal: CheckedRehearsal, file: string): TraceCounts | null {
  const { shape } = rehearsal.arrivals
  if (shape.kind !== 'trace') return null
  const path = resolve(file, '..', shape.file)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure(
      cliFailures.traceUnreadable,
      `The trace ${path} of '${rehearsal.name}' can't be read.`,
      { cause },
    )
  }
  const trace = readTrace(text)
  if ('why' in trace) throw new Failure(cliFailures.traceUnreadable, `${path}: ${trace.why}`)
  return trace
}

interface Given {
  readonly system: CheckedSystem
  readonly workload: CheckedWorkload
  readonly rehearsal: CheckedRehearsal
}

/** Null: it was interrupted. */
async function play(
  input: CommandInput,
  given: Given,
  trace: TraceCounts | null,
): Promise<SimulationResult | null> {
  const k =
    input.options.sample === undefined ? given.rehearsal.sample : sampleOf(String(input.options.sample))
  if (k <= 1) return run(input, given, trace)
  const smaller = sampled(given.system, given.workload, given.rehearsal, k)
  if ('refused' in smaller)
    throw new Failure(
      cliFailures.sampleInvalid,
      `'${given.rehearsal.name}' can't be sampled one in ${k}: ${smaller.refused.join('; ')}.`,
    )
  const result = await run(input, smaller, trace)
  return result === null ? null : enlarged(result, k, smaller.remarks)
}

function sampleOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new Failure(
    cliFailures.optionInvalid,
    `--sample ${text} is no sample: write k, to play one in k of users and instances.`,
  )
}

async function run(
  { terminal, json }: CommandInput,
  { system, workload, rehearsal }: Given,
  trace: TraceCounts | null,
): Promise<SimulationResult | null> {
  const simulation = new Simulation(system, workload, rehearsal, trace === null ? {} : { trace })
  const interrupted = untilInterrupted()
  const began = performance.now()
  let shown = began
  while (!simulation.step(eventsAtOnce)) {
    if (performance.now() - shown < 200) continue
    shown = performance.now()
    if (!json) terminal.live(progressLine(rehearsal.name, simulation, (shown - began) / 1000))
    await turn()
    if (interrupted.aborted) {
      terminal.live(null)
      return null
    }
  }
  terminal.live(null)
  return simulation.result()
}

/** The same rehearsal by another file, or with another seed. False: it was interrupted. */
async function compare(
  input: CommandInput,
  given: Given,
  before: SimulationResult,
  trace: TraceCounts | null,
): Promise<boolean> {
  const wish = String(input.options.compare)
  const seed = /^seed:(\d{1,10})$/.exec(wish)
  const other = seed === null ? await otherFile(input, given, wish) : withSeed(given, seedOf(seed[1] ?? ''))
  const after = await play(input, other, trace)
  if (after === null) return false
  const { terminal, json } = input
  const differences = compareResults(before, after)
  if (json) terminal.print(JSON.stringify({ compared: wish, after, differences }))
  else {
    terminal.print('')
    const paint = terminal.paint.bind(terminal)
    for (const line of compareLines(differences, ['here', wish], paint)) terminal.print(line)
  }
  return true
}

function withSeed(given: Given, seed: number): Given {
  return { ...given, rehearsal: { ...given.rehearsal, seed } }
}

async function otherFile(input: CommandInput, { rehearsal }: Given, path: string): Promise<Given> {
  const { system } = await loadSystem(path, { environment: input.environment ?? null })
  const { workload } = system
  if (workload === undefined)
    throw new Failure(cliFailures.workloadMissing, `${path} has no 'workload': it can't be compared.`)
  const own = Object.hasOwn(system.rehearsals, rehearsal.name) ? system.rehearsals[rehearsal.name] : undefined
  if (own === undefined && rehearsal.name !== defaultRehearsal.name)
    throw new Failure(
      cliFailures.rehearsalUnknown,
      `${path} has no rehearsal '${rehearsal.name}' to compare with.`,
    )
  // The same chance for both.
  return { system, workload, rehearsal: { ...(own ?? defaultRehearsal), seed: rehearsal.seed } }
}

/** Leaves out faults until what went wrong needs each of them. False: it was interrupted. */
async function shrink(input: CommandInput, given: Given, trace: TraceCounts | null): Promise<boolean> {
  const shrinker = new Shrinker(given.rehearsal)
  for (let next = shrinker.next(); next !== null; next = shrinker.next()) {
    const result = await play(input, { ...given, rehearsal: next }, trace)
    if (result === null) return false
    shrinker.tell(isBad(result))
  }
  const { faults } = shrinker.smallest
  const { print } = input.terminal
  const tries = `${shrinker.tried} ${shrinker.tried === 1 ? 'try' : 'tries'}`
  if (faults.length === 0) print(`\nIt goes wrong without any fault (${tries}).`)
  else {
    print(`\nIt takes ${faults.length} of ${given.rehearsal.faults.length} faults to go wrong (${tries}):`)
    for (const { atMs, forMs, what } of faults)
      print(
        `  at ${digits(atMs / 1000)} s${forMs === null ? '' : `, for ${digits(forMs / 1000)} s`}: ${faultText(what)}`,
      )
  }
  return true
}

function progressLine(name: string, { progress, events }: Simulation, seconds: number): string {
  const left = progress > 0.01 ? ` · ${digits((seconds / progress) * (1 - progress))} s left` : ''
  const filled = Math.round(progress * 20)
  return `${name} ${'█'.repeat(filled)}${'░'.repeat(20 - filled)} ${Math.floor(progress * 100)} % · ${digits(events / seconds / 1e6)} M events/s${left}`
}
