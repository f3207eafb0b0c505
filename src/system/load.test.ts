// Loading real files by real child processes. Each case is a small project in a folder of its own.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { fileFailures } from '../file/index.ts'
import { Failure, type FailureKind } from '../kit/failure.ts'
import { type LoadedSystem, type LoadFailureDetails, type LoadOptions, loadSystemFile } from './load.ts'

const root = mkdtempSync(join(tmpdir(), 'tenfold-load-'))
after(() => rmSync(root, { recursive: true, force: true }))

let projects = 0
function project(files: Readonly<Record<string, string>>): string {
  const folder = join(root, `project ${++projects}`)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

const main = 'tenfold.config.ts'
const minimal = "{ name: 'shop', services: { web: { command: 'x' } } }"

function load(
  files: Readonly<Record<string, string>>,
  options: LoadOptions = {},
  name: string = Object.keys(files)[0] as string,
): Promise<LoadedSystem> {
  return loadSystemFile(join(project(files), name), options)
}

async function failureOf(loading: Promise<unknown>): Promise<Failure> {
  const error: unknown = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Failure, `no failure but ${String(error)}`)
  return error
}

async function fails(
  files: Readonly<Record<string, string>>,
  kind: FailureKind,
  sentence: RegExp,
  options: LoadOptions = {},
): Promise<Failure> {
  const failure = await failureOf(load(files, options))
  assert.equal(failure.kind, kind)
  assert.match(failure.message, sentence)
  return failure
}

test('a TypeScript file is loaded where nothing is installed, and tells what it imported', async () => {
  const folder = project({
    [main]:
      "import { defineSystem, secret, type SystemInput } from 'tenfold'\nimport { count } from './lib/count.ts'\nconst input: SystemInput = { name: 'shop', services: { web: { command: 'x', instances: count, env: { K: secret('K') } } } }\nexport default defineSystem(input)\n",
    'lib/count.ts': 'export const count: number = 3\n',
  })
  const loaded = await loadSystemFile(join(folder, main))
  const { web } = loaded.system.services
  assert.ok(web?.kind === 'command')
  assert.deepEqual([web.instances, web.env], [{ min: 3, max: 3 }, { K: { secret: 'K' } }])
  assert.deepEqual(loaded.imported, [join(folder, main), join(folder, 'lib/count.ts')])
  assert.equal(loaded.directory, folder)
})

test('where tenfold is installed too, the running one is used', async () => {
  const loaded = await load({
    [main]: `import { defineSystem } from 'tenfold'\nexport default defineSystem(${minimal})\n`,
    'node_modules/tenfold/package.json': '{ "name": "tenfold", "type": "module", "exports": "./index.js" }',
    'node_modules/tenfold/index.js': "throw new Error('the installed one was loaded')",
  })
  assert.equal(loaded.system.name, 'shop')
})

test("a clone's own example is loaded without a build", async () => {
  const loaded = await loadSystemFile(join(import.meta.dirname, '../../examples/boxoffice'))
  assert.equal(loaded.system.name, 'boxoffice')
})

test('other kinds of files are loaded, and a folder stands for the file in it', async () => {
  const json = '{ "$schema": "x", "name": "shop", "services": { "web": { "command": "x" } } }'
  assert.equal((await load({ 'a.mjs': `export default ${minimal}` })).system.name, 'shop')
  assert.equal((await load({ 'a.json': json })).system.name, 'shop')
  assert.equal((await load({ 'a.cjs': `module.exports = ${minimal}` })).system.name, 'shop')
  assert.equal(
    (await load({ 'tenfold.config.mjs': `export default ${minimal}` }, {}, '.')).system.name,
    'shop',
  )
})

test('a file with import statements is a module, also where package.json says commonjs', async () => {
  const loaded = await load({
    [main]:
      "import { defineSystem } from 'tenfold'\nimport { count } from './lib/count.ts'\nimport old from './old.js'\nexport default defineSystem({ name: 'shop', services: { web: { command: old.command, instances: count } } })\n",
    'lib/count.ts': 'export const count: number = 3\n',
    'old.js': "module.exports = { command: 'node old.js' }\n",
    'package.json': '{ "name": "project", "type": "commonjs" }',
  })
  const { web } = loaded.system.services
  assert.deepEqual(web?.kind === 'command' && [web.command, web.instances.min], ['node old.js', 3])
})

test('a function, sync or async, is called and what it gives is taken', async () => {
  assert.equal((await load({ [main]: `export default () => (${minimal})` })).system.name, 'shop')
  assert.equal((await load({ [main]: `export default async () => (${minimal})` })).system.name, 'shop')
})

test('what the file prints does not disturb its result, and is kept', async () => {
  const loaded = await load({
    [main]: `console.log('{"kind":"junk"}'); console.error('hello'); process.stdout.write('x'.repeat(300000))\nexport default ${minimal}`,
  })
  assert.equal(loaded.system.name, 'shop')
  assert.match(loaded.output, /junk/)
  assert.ok(loaded.output.length <= 2 * 65_536)
})

test('a file that leaves timers and servers behind does not hold anything up', async () => {
  const loaded = await load({
    [main]: `import { createServer } from 'node:net'\ncreateServer().listen(0, '127.0.0.1')\nsetInterval(() => {}, 1000)\nexport default ${minimal}`,
  })
  assert.equal(loaded.system.name, 'shop')
})

test('the file sees the environment that it is given, and the environment asked for is applied', async () => {
  const source =
    "export default { name: process.env.NAME, services: { web: { command: 'x', instances: 1 } }, environments: { production: { services: { web: { instances: 4 } } } } }"
  const loaded = await load(
    { [main]: source },
    { env: { PATH: process.env.PATH, NAME: 'other' }, environment: 'production' },
  )
  assert.deepEqual([loaded.system.name, loaded.system.environment], ['other', 'production'])
  const { web } = loaded.system.services
  assert.deepEqual(web?.kind === 'command' && web.instances, { min: 4, max: 4 })
})

test('a file that is missing, a folder without one, and an unknown ending are told', async () => {
  await fails({ 'other.txt': '' }, fileFailures.kindUnknown, /other\.txt is not a kind of file/)
  const folder = project({ 'x.txt': '' })
  const missing = await failureOf(loadSystemFile(join(folder, main)))
  assert.equal(missing.kind, fileFailures.notFound)
  assert.match(missing.message, /does not exist.*tenfold init/)
  assert.match((await failureOf(loadSystemFile(folder))).message, /is a folder without a tenfold\.config\.ts/)
  symlinkSync(main, join(folder, main))
  const looped = await failureOf(loadSystemFile(join(folder, main)))
  assert.equal(looped.kind, fileFailures.notReadable)
  assert.match(looped.message, /can not be read: ELOOP/)
})

test('a file that does not parse is told with line, column and the line itself', async () => {
  const broken = "const a: number = 1\nexport default {\n  name: = 'x',\n}\n"
  await fails(
    { [main]: broken },
    fileFailures.syntax,
    /tenfold\.config\.ts:3:9: Expression expected\n\n {2}3 \| {3}name: = 'x',\n {4}\| {9}\^/,
  )
  await fails(
    { 'a.mjs': broken.replace(': number', '') },
    fileFailures.syntax,
    /a\.mjs:3:9: Unexpected token/,
  )
  await fails(
    { [main]: `import './part.ts'\nexport default {}`, 'part.ts': broken },
    fileFailures.syntax,
    /part\.ts:3:9/,
  )
  await fails({ [main]: 'enum A { B }\nexport default {}' }, fileFailures.syntax, /:1:1: .*enum/)
  await fails({ 'a.json': '{ "name": "x",\n  "services": {,}\n}' }, fileFailures.syntax, /a\.json:2:16: /)
  await fails(
    { [main]: "import { defineSystm } from 'tenfold'\nexport default {}" },
    fileFailures.syntax,
    /:1:10: .*defineSystm/,
  )
})

test('an import that is not there is told', async () => {
  await fails(
    { [main]: "import 'not-installed'\nexport default {}" },
    fileFailures.importMissing,
    /Cannot find package 'not-installed'/,
  )
  await fails(
    { [main]: "import './gone.ts'\nexport default {}" },
    fileFailures.importMissing,
    /Cannot find module .*gone\.ts/,
  )
})

test('a file that throws is told with the line, at import and when called', async () => {
  await fails(
    { [main]: "const f = () => {\n  throw new RangeError('too far')\n}\nf()\nexport default {}" },
    fileFailures.threw,
    /:2:9: threw RangeError: too far\n\n {2}2 \| {3}throw new/,
  )
  await fails(
    { [main]: "export default () => { throw new Error('no DB_HOST') }" },
    fileFailures.threw,
    /:1:30: threw Error: no DB_HOST/,
  )
  await fails(
    { [main]: "export default async () => { throw 'a text' }" },
    fileFailures.threw,
    /threw Error: a text/,
  )
  await fails(
    {
      [main]: "setTimeout(() => { throw new Error('late') }, 1)\nexport default () => new Promise(() => {})",
    },
    fileFailures.threw,
    /:1:26: threw Error: late/,
  )
  await fails(
    { [main]: "const x = JSON.parse('{bad')\nexport default x" },
    fileFailures.threw,
    /:1:16: threw SyntaxError/,
  )
})

test('a file without a default export is told, with what it exports', async () => {
  await fails(
    { [main]: 'export const system = {}' },
    fileFailures.noDefaultExport,
    /\(it exports system\)\. Write: export default/,
  )
})

test('an endless loop and a promise that never settles are stopped', async () => {
  await fails({ [main]: 'for (;;);' }, fileFailures.tookTooLong, /still not loaded after 1 s/, {
    timeoutMs: 1000,
  })
  await fails(
    { [main]: 'export default new Promise(() => {}).then\nawait new Promise(() => {})' },
    fileFailures.tookTooLong,
    /never settles/,
  )
})

test('process.exit in the file is told, with what it said last', async () => {
  await fails(
    { [main]: "console.error('not configured'); process.exit(3)" },
    fileFailures.exited,
    /exit code 3: remove process\.exit\.\nIt last said:\n {2}not configured/,
  )
  await fails({ [main]: 'process.exit(0)\nexport default {}' }, fileFailures.exited, /exit code 0/)
  await fails(
    { [main]: "process.kill(process.pid, 'SIGABRT')\nawait new Promise(r => setTimeout(r, 5000))" },
    fileFailures.exited,
    /by SIGABRT/,
  )
})

test('functions and class instances are told by their path', async () => {
  await fails(
    { [main]: "export default { name: 'x', services: { web: { command: () => 1 } }, d: new Date() }" },
    fileFailures.notPlain,
    /services\.web\.command is a function \(command\)[\s\S]*d is a Date/,
  )
})

test('a giant result is refused', async () => {
  await fails({ [main]: "export default { name: 'x'.repeat(5e6) }" }, fileFailures.tooLarge, /more than 4 MB/)
  await fails(
    { [main]: 'export default { name: new Array(1e6).fill(1) }' },
    fileFailures.tooLarge,
    /more than 200000 values/,
  )
})

test('a file that loads but does not check is told with all problems, and what it imported for the watcher', async () => {
  const failure = await fails(
    { [main]: "export default { name: 'X', servces: {} }" },
    fileFailures.invalid,
    /2 problems:[\s\S]*name: "X"[\s\S]*Did you mean 'services'/,
  )
  const details = failure.details as unknown as LoadFailureDetails
  assert.equal(details.problems?.length, 2)
  assert.equal(details.imported.length, 1)
})

test('a built Tenfold loads files as the sources do', async () => {
  const out = mkdtempSync(join(root, 'dist-'))
  const repository = join(import.meta.dirname, '../..')
  const compiler = join(repository, 'node_modules/typescript/bin/tsc')
  const settings = join(out, 'tsconfig.json')
  // Only what loading needs, and without its types: those are the business of `npm run check`.
  writeFileSync(
    settings,
    JSON.stringify({
      extends: join(repository, 'tsconfig.build.json'),
      compilerOptions: {
        outDir: join(out, 'dist'),
        rootDir: join(repository, 'src'),
        typeRoots: [join(repository, 'node_modules/@types')],
        declaration: false,
        isolatedDeclarations: false,
      },
      include: [],
      files: ['system/load.ts', 'system/load-child.ts', 'index.ts'].map(file =>
        join(repository, 'src', file),
      ),
    }),
  )
  await promisify(execFile)(process.execPath, [compiler, '-p', settings, '--noCheck'])
  cpSync(join(repository, 'package.json'), join(out, 'package.json'))
  cpSync(join(repository, 'node_modules/zod'), join(out, 'node_modules/zod'), { recursive: true })
  const folder = project({
    [main]: `import { defineSystem } from 'tenfold'\nexport default defineSystem(${minimal})\n`,
  })
  const script = `import { loadSystemFile } from ${JSON.stringify(join(out, 'dist/system/load.js'))}\nconsole.log((await loadSystemFile(${JSON.stringify(join(folder, main))})).system.name)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  assert.equal(stdout, 'shop\n')
})

test('pages, certificates and folders that the file names are looked for, and watched where their content counts', async () => {
  const edge = "{ errorPages: { 404: 'pages/404.html' }, routes: [{ path: '/*', files: 'public' }] }"
  const file = `export default { name: 'shop', edge: ${edge} }`
  const folder = project({ [main]: file, 'pages/404.html': 'gone' })
  const failure = await failureOf(loadSystemFile(folder))
  assert.equal(failure.kind, fileFailures.invalid)
  assert.match(failure.message, /edge\.routes\[0\]\.files: "public" does not exist/)
  const details = failure.details as unknown as LoadFailureDetails
  assert.deepEqual(
    details.problems?.map(problem => problem.code),
    ['FILE_PATH_UNUSABLE'],
  )
  assert.ok(details.imported.includes(join(folder, 'pages/404.html')))
  mkdirSync(join(folder, 'public'))
  const loaded = await loadSystemFile(folder)
  assert.deepEqual(loaded.imported, [join(folder, main), join(folder, 'pages/404.html')])
})
