// `npm run bench -- NAME [--quick] [--only a,b] [--scenarios x,y] [--keep]`: runs bench/NAME/bench.ts and writes what
// it returns into bench/NAME/README.md. Figures come only from here, never from tests.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { machineFacts } from './lib/machine.ts'
import { writeBlock } from './lib/markdown.ts'
import { endAllProcesses } from './lib/processes.ts'

export interface BenchOptions {
  /** One short round: to see whether a change moved anything, not to publish. */
  readonly quick: boolean
  /** Names of the programs to run; empty = all. */
  readonly only: readonly string[]
  readonly scenarios: readonly string[]
  /** Extra arguments of one benchmark. */
  readonly rest: readonly string[]
}
export type Bench = (options: BenchOptions) => Promise<string>

const names = readdirSync(import.meta.dirname).filter(name =>
  existsSync(join(import.meta.dirname, name, 'bench.ts')),
)

function stop(sentence: string): never {
  console.error(`bench: ${sentence}`)
  process.exit(2)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    scenarios: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
  },
})
const [name, ...rest] = positionals
if (!name || !names.includes(name)) {
  stop(
    `name a benchmark: npm run bench -- ${names.join(' | ')} [--quick] [--only a,b] [--scenarios x,y] [--keep]`,
  )
}

const list = (text: string): string[] => text.split(',').filter(Boolean)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endAllProcesses()
    process.exit(130)
  })
}
process.once('exit', endAllProcesses)

const module = (await import(pathToFileURL(join(import.meta.dirname, name, 'bench.ts')).href)) as {
  run: Bench
}
const options: BenchOptions = {
  quick: values.quick,
  only: list(values.only),
  scenarios: list(values.scenarios),
  rest,
}
try {
  const report = `${await module.run(options)}\n\n${machineFacts()}`
  console.log(`\n${report}`)
  const whole = !values.quick && options.only.length === 0 && options.scenarios.length === 0
  const file = join(import.meta.dirname, name, 'README.md')
  if (whole || values.keep) writeBlock(file, 'results', report)
  else console.log(`\n(${file} is left as it is: only a whole run, or --keep, writes it.)`)
} finally {
  endAllProcesses()
}
