// `tenfold simulate`: plays rehearsals of the file in virtual time and shows what came out. Starts nothing of the system.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { CheckedRehearsal, CheckedSystem, CheckedWorkload } from '../../file/index.ts'
import { Failure } from '../../kit/failure.ts'
import {
  defaultRehearsal,
  digits,
  Simulation,
  type SimulationResult,
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
  for (const rehearsal of chosen) {
    const trace = traceOf(rehearsal, file)
    const result = await play(input, system, workload, rehearsal, seed, trace)
    if (result === null) return 130
    results.push(result)
    if (isBad(result)) failed++
    if (json) continue
    if (results.length > 1) terminal.print('')
    const width = terminal.columns || widthWithoutTerminal
    const paint = terminal.paint.bind(terminal)
    for (const line of summaryLines(result, { width, paint, decisionsMax: 20 })) terminal.print(line)
  }
  if (json) terminal.print(JSON.stringify({ results }))
  return options.check === true && failed > 0 ? 1 : 0
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

/** Null: it was interrupted. */
async function play(
  { terminal, json }: CommandInput,
  system: CheckedSystem,
  workload: CheckedWorkload,
  rehearsal: CheckedRehearsal,
  seed: number | undefined,
  trace: TraceCounts | null,
): Promise<SimulationResult | null> {
  const simulation = new Simulation(system, workload, rehearsal, {
    ...(seed === undefined ? {} : { seed }),
    ...(trace === null ? {} : { trace }),
  })
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

function progressLine(name: string, { progress, events }: Simulation, seconds: number): string {
  const left = progress > 0.01 ? ` · ${digits((seconds / progress) * (1 - progress))} s left` : ''
  const filled = Math.round(progress * 20)
  return `${name} ${'█'.repeat(filled)}${'░'.repeat(20 - filled)} ${Math.floor(progress * 100)} % · ${digits(events / seconds / 1e6)} M events/s${left}`
}
