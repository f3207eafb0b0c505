// The published package: built, packed, installed into an empty folder by npm, and used from there as a stranger would.
// The registry is asked for nothing that `npm install` of this project has not fetched already.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'

const root = join(import.meta.dirname, '..')
const place = mkdtempSync(join(tmpdir(), 'tenfold-package-'))
const consumer = join(place, 'shop')
const env = {
  ...process.env,
  PATH: `${join(consumer, 'node_modules', '.bin')}${delimiter}${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
  npm_config_update_notifier: 'false',
}
const stepTimeoutMs = 300_000

interface Outcome {
  readonly status: number | null
  readonly output: string
}

function outcomeOf(program: string, args: readonly string[], cwd: string): Outcome {
  const run = spawnSync(program, args, { cwd, env, encoding: 'utf8', timeout: stepTimeoutMs })
  return { status: run.status, output: `${run.stdout}${run.stderr}${run.error ?? ''}` }
}

function must(program: string, args: readonly string[], cwd: string): string {
  const { status, output } = outcomeOf(program, args, cwd)
  assert.equal(status, 0, `${program} ${args.join(' ')} failed:\n${output}`)
  return output
}

interface LockedPackage {
  readonly dev?: boolean
  readonly devOptional?: boolean
}

/** A lock file with our own versions of what the package depends on: npm takes them from its cache, without asking. */
function lockFor(
  tarball: string,
  manifest: { version: string; dependencies: Record<string, string> },
): unknown {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>
  }
  const needed = Object.entries(lock.packages).filter(
    ([path, one]) => path !== '' && !one.dev && !one.devOptional,
  )
  const tenfold = {
    version: manifest.version,
    resolved: `file:${tarball}`,
    dependencies: manifest.dependencies,
  }
  return {
    name: 'shop',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': { name: 'shop', dependencies: { tenfold: `file:${tarball}` } },
      'node_modules/tenfold': { ...tenfold, bin: { tenfold: 'dist/cli/main.js' } },
      ...Object.fromEntries(needed),
    },
  }
}

before(() => {
  const packed = join(place, 'packed')
  mkdirSync(packed)
  mkdirSync(consumer)
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'prices', 'schema']) {
    cpSync(join(root, name), join(packed, name), { recursive: true })
  }
  must('node', [join(root, 'scripts', 'build.mjs'), '--out', join(packed, 'dist')], root)
  must('npm', ['pack', '--ignore-scripts', '--pack-destination', place], packed)
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string
    dependencies: Record<string, string>
  }
  const tarball = join(place, `tenfold-${manifest.version}.tgz`)
  const dependencies = { tenfold: `file:${tarball}` }
  writeFileSync(
    join(consumer, 'package.json'),
    JSON.stringify({ name: 'shop', type: 'module', dependencies }),
  )
  writeFileSync(join(consumer, 'package-lock.json'), JSON.stringify(lockFor(tarball, manifest)))
  must('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], consumer)
})

after(() => rmSync(place, { recursive: true, force: true }))

test('the tarball holds what is needed and no sources, tests or examples', () => {
  const list = must('tar', ['tzf', join(place, readVersionedName())], place)
    .trim()
    .split('\n')
  for (const wanted of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'schema/tenfold.schema.json',
    'prices/2026-11.json',
  ]) {
    assert.ok(list.includes(`package/${wanted}`), `${wanted} is missing`)
  }
  const strange = list.filter(name => /\.test\.|fixtures|\/src\/|\/examples\/|\.config\.ts$/.test(name))
  assert.deepEqual(strange, [])
})

function readVersionedName(): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return `tenfold-${version}.tgz`
}

test('`npx tenfold --help` answers with its commands', () => {
  const output = must('npx', ['tenfold', '--help'], consumer)
  for (const command of ['up', 'check', 'status', 'reload'])
    assert.match(output, new RegExp(`^ +${command}\\b`, 'm'))
})

test('the packed estimator finds the prices that it comes with', () => {
  writeFileSync(
    join(consumer, 'plan.config.mjs'),
    "export default { name: 'x', services: { web: { command: 'node w.mjs' } }, workload: { reads: { rate: '10/s' } } }\n",
  )
  assert.match(
    must('npx', ['tenfold', 'plan', 'plan.config.mjs'], consumer),
    /Cost a month .* prices of 2026-11-01/,
  )
})

test('a system file that imports tenfold is checked, and its mistakes are named', () => {
  const good = `import { defineSystem } from 'tenfold'
export default defineSystem({ name: 'shop', services: { web: { command: 'node web.mjs' } } })\n`
  writeFileSync(join(consumer, 'tenfold.config.ts'), good)
  must('npx', ['tenfold', 'check'], consumer)
  writeFileSync(join(consumer, 'bad.config.ts'), good.replace('command', 'comand'))
  const { status, output } = outcomeOf('npx', ['tenfold', 'check', 'bad.config.ts'], consumer)
  assert.equal(status, 2, output)
  assert.match(output, /bad\.config\.ts[\s\S]*comand[\s\S]*command/)
})

/** Runs a module of the stranger's, and gives what it printed as JSON. */
function printed(name: string, source: string): unknown {
  writeFileSync(join(consumer, name), source)
  return JSON.parse(must('node', [name], consumer).trim())
}

test('`tenfold/cache` works alone: it loads neither the platform nor Redis', () => {
  const seen = printed(
    'cached.mjs',
    `import { registerHooks } from 'node:module'
     const loaded = []
     registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
     const { createCache } = await import('tenfold/cache')
     await using cache = createCache({ name: 'shop' })
     let loads = 0
     const read = () => cache.getOrSet('a', async () => ++loads)
     const values = await Promise.all([read(), read()])
     await cache.update('a', () => {})
     const foreign = loaded.filter(url => url.startsWith('file:') && !/tenfold\\/dist\\/(app\\/cache|kit|policy|io)\\//.test(url))
     console.log(JSON.stringify({ values, after: await read(), foreign, count: loaded.length }))`,
  ) as { values: number[]; after: number; foreign: string[]; count: number }
  assert.deepEqual({ ...seen, count: seen.count > 5 }, { values: [1, 1], after: 2, foreign: [], count: true })
})

test('`tenfold/cache/redis`, `tenfold/sessions` and `tenfold/guard` are there for a service', () => {
  const names = printed(
    'shared.mjs',
    `const redis = await import('tenfold/cache/redis')
     const sessions = await import('tenfold/sessions')
     const guard = await import('tenfold/guard')
     console.log(JSON.stringify([redis.createRedisTier, sessions.createSessions, guard.verifyHuman].map(one => typeof one)))`,
  )
  assert.deepEqual(names, ['function', 'function', 'function'])
})

test('the types reach a stranger: a right file compiles, a wrong key does not', () => {
  const options = {
    strict: true,
    module: 'nodenext',
    target: 'es2024',
    noEmit: true,
    types: [],
    skipLibCheck: false,
  }
  writeFileSync(
    join(consumer, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['typed.ts'] }),
  )
  const typed = (key: string): string => `import { defineSystem, secret } from 'tenfold'
export default defineSystem({
  name: 'shop',
  edge: { listen: { http: 8080 }, routes: [{ path: '/*', to: 'web' }] },
  services: { web: { ${key}: 'node web.mjs', env: { KEY: secret('KEY') } } },
})\n`
  writeFileSync(join(consumer, 'typed.ts'), typed('command'))
  must('tsc', ['-p', '.'], consumer)
  writeFileSync(join(consumer, 'typed.ts'), typed('comand'))
  const { status, output } = outcomeOf('tsc', ['-p', '.'], consumer)
  assert.notEqual(status, 0)
  assert.match(output, /comand/)
})

test('`tenfold up` runs a system from the installed package, answers, and ends cleanly', async () => {
  writeFileSync(
    join(consumer, 'web.mjs'),
    `import { createServer } from 'node:http'
     createServer((request, response) => response.end('served ' + request.url)).listen(process.env.PORT, '127.0.0.1')\n`,
  )
  writeFileSync(
    join(consumer, 'tenfold.config.ts'),
    `import { defineSystem } from 'tenfold'
     export default defineSystem({
       name: 'shop',
       control: { listen: 0 },
       edge: { listen: { http: '127.0.0.1:0' }, workers: 1 },
       services: { web: { command: 'node web.mjs', instances: 1 } },
     })\n`,
  )
  const child = spawn('npx', ['tenfold', 'up', '--json'], {
    cwd: consumer,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', text => (output += text))
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  try {
    const url = await frontUrl(() => output)
    const response = await fetch(`${url}/hello`)
    assert.equal(await response.text(), 'served /hello')
    must('npx', ['tenfold', 'stop'], consumer)
    assert.equal(await ended, 0, output)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
})

interface Status {
  readonly ready: boolean
  readonly edge: { readonly listeners: readonly { readonly url: string }[] }
}

/** The listener's address, as `tenfold status --json` tells it once everything is up. */
async function frontUrl(output: () => string): Promise<string> {
  for (const until = Date.now() + 60_000; Date.now() < until; ) {
    const asked = spawnSync('npx', ['tenfold', 'status', '--json'], { cwd: consumer, env, encoding: 'utf8' })
    const status = asked.status === 0 ? (JSON.parse(asked.stdout) as Status) : undefined
    if (status?.ready) return status.edge.listeners[0]!.url.replace(/\/$/, '')
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  throw new Error(`the system did not come up in a minute; it wrote:\n${output()}`)
}
