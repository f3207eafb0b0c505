// Runs the tests with Node's own runner and prints ONE summary over all phases, so that the closing lines are true.
//   node scripts/test.mjs all [WORD]     everything; a WORD keeps only the files whose path contains it
//   node scripts/test.mjs check [WORD]   types, format, tidy and the unit tests: what one runs before a commit;
//                                        without a WORD not those that spend their time on starting processes
// Phases: what is light runs a file a core; what starts whole systems two at a time: they mostly wait.

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [mode = 'all', word = ''] = process.argv.slice(2)
const counted = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo']
/** Loaded into each file's process: it ends what hangs. */
const ending = pathToFileURL(join(root, 'scripts', 'test-end.mjs')).href
/** All tests together; what `ending` cannot end (a loop that never yields) is ended by this. */
const wholeLimitMs = 60 * 60_000

/** Tests that start dozens of processes: most of the time of all tests in src/. `npm test` runs them. */
const startsProcesses = file =>
  /^src\/(fleet\/|system\/load\.test|io\/(net|process)|cli\/(up|first))/.test(file)
const find = (...patterns) => globSync(patterns, { cwd: root }).map(file => file.replaceAll('\\', '/'))

function phases() {
  const units = find('src/**/*.test.ts', 'test/tools/*.test.ts')
  const light = ['test/code.test.ts', ...units]
  if (mode === 'check') {
    const quick = light.filter(file => word !== '' || !startsProcesses(file))
    return [{ files: quick, concurrency: availableParallelism() }]
  }
  const whole = find('test/**/*.test.ts').filter(file => !light.includes(file))
  return [
    { files: light, concurrency: availableParallelism() },
    { files: whole, concurrency: 2 },
  ]
}

function chosen(files) {
  return files
    .filter(file => file.includes(word))
    .sort()
    .map(file => join(root, file))
}

const isSummaryLine = event =>
  event.type === 'test:diagnostic' &&
  event.data.nesting === 0 &&
  event.data.file === undefined &&
  /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(event.data.message)

const totals = Object.fromEntries(counted.map(name => [name, 0]))
let summaries = 0

function count(event) {
  const { counts, file } = event.data
  if (file !== undefined) return
  summaries++
  totals.tests += counts.tests
  totals.suites += counts.suites
  totals.pass += counts.passed
  totals.cancelled += counts.cancelled
  totals.skipped += counts.skipped
  totals.todo += counts.todo
  totals.fail += counts.tests - counts.passed - counts.cancelled - counts.skipped - counts.todo
}

async function* eventsOfAllPhases(list, signal) {
  const started = performance.now()
  for (const { files, concurrency } of list) {
    for await (const event of run({
      files,
      concurrency,
      execArgv: ['--import', ending],
      signal,
      cwd: root,
    })) {
      if (event.type === 'test:summary') count(event)
      if (event.type !== 'test:summary' && !isSummaryLine(event)) yield event
    }
  }
  totals.duration_ms = performance.now() - started
  for (const [name, value] of Object.entries(totals)) {
    yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${value}`, level: 'info' } }
  }
}

if (mode !== 'all' && mode !== 'check') {
  console.error(`test: unknown mode ${mode}; allowed: all, check`)
  process.exit(2)
}
const list = phases()
  .map(phase => ({ ...phase, files: chosen(phase.files) }))
  .filter(phase => phase.files.length > 0)
if (list.length === 0) {
  console.error(`test: no test file has "${word}" in its path`)
  process.exit(2)
}

process.env.PATH = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`
const abort = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => abort.abort())
setTimeout(() => {
  console.error(`test: not done in ${wholeLimitMs / 60_000} minutes; what still runs is ended`)
  abort.abort()
  // Whoever holds the output of a file that is gone would hold us, too.
  setTimeout(() => process.exit(1), 15_000).unref()
}, wholeLimitMs).unref()

const report = Readable.from(eventsOfAllPhases(list, abort.signal)).compose(spec)
report.pipe(process.stdout)
report.on('end', () => {
  const good = totals.fail === 0 && totals.cancelled === 0 && totals.tests > 0 && summaries === list.length
  process.exitCode = good && !abort.signal.aborted ? 0 : 1
})
