// The house rules that a machine can hold: layers, purity, dead files, banned words, documents that name what exists.
// The table is in layers.ts. A rule that fails says which module, which line and what is allowed.

import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Module, readModules, root } from '../test/tools/modules.ts'
import { entries, type Layer, layers, layerTable } from './layers.ts'

const everything = readModules(['src', 'test', 'bench', 'scripts'])
const isTest = (path: string): boolean => path.endsWith('.test.ts')
/** Helpers of tests: they may use what tests may. */
const isHelper = (path: string): boolean => /\/(testing|fixtures)\/|\/testing\.ts$/.test(path)
const sources = everything.filter(one => one.path.startsWith('src/'))
const products = sources.filter(
  one => !isTest(one.path) && !isHelper(one.path) && one.path !== 'src/layers.ts',
)
const generatedFile = (path: string): boolean => path.includes('.generated.')

function layerOf(path: string): Layer | undefined {
  const [, folder] = path.split('/')
  return layers.find(layer => layer.name === folder)
}

function agree(problems: readonly string[], rule: string): void {
  assert.equal(problems.length, 0, `${rule}\n  ${problems.join('\n  ')}\n`)
}

/** `path:line` of each match. */
function linesWith(module: Module, text: string, pattern: RegExp): string[] {
  return text
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`${module.path}:${index + 1}: ${line.trim()}`] : []))
}

test('the rules are held against the whole project, not against nothing', () => {
  assert.ok(products.length >= 60, `only ${products.length} modules were found`)
  assert.ok(everything.flatMap(one => one.reaches).length >= 200, 'hardly an import was found')
  for (const layer of layers) {
    assert.ok(existsSync(join(root, 'src', layer.name)), `src/${layer.name} is in the table, not in the tree`)
  }
})

test('every module is in a layer, and imports only from the layers that the table allows', () => {
  const problems: string[] = []
  for (const module of products) {
    const layer = layerOf(module.path)
    if (!layer) {
      problems.push(`${module.path} is in no layer of src/layers.ts`)
      continue
    }
    for (const target of module.reaches) {
      const other = layerOf(target)
      const allowed = other && (other === layer || layer.imports.includes(other.name))
      const narrowed = layer.only?.some(one => one.startsWith(`${other?.name}/`))
      const open = !narrowed || other === layer || layer.only?.includes(target.replace('src/', ''))
      if (!allowed || !open) {
        const list = [...layer.imports, ...(layer.only ?? [])].join(', ') || 'nothing of ours'
        problems.push(`${module.path} imports ${target}; ${layer.name} may import ${list}`)
      }
    }
  }
  agree(problems, 'imports against the layer table (src/layers.ts):')
})

test('relative imports name files that exist, with their ending', () => {
  const problems = everything.flatMap(module =>
    module.reaches.filter(to => !existsSync(join(root, to))).map(to => `${module.path} imports ${to}`),
  )
  agree(problems, 'imports that lead nowhere:')
})

test('modules of Node and npm packages are imported only where the table says', () => {
  const problems: string[] = []
  for (const module of products) {
    const layer = layerOf(module.path)
    for (const name of module.imports.filter(one => !one.startsWith('.'))) {
      const builtin = name.startsWith('node:')
      if (!builtin && builtinModules.includes(name)) problems.push(`${module.path}: write node:${name}`)
      const pack = name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : name.split('/')[0]!
      const allowed = builtin ? layer?.builtins.includes(name.slice(5)) : layer?.packages.includes(pack)
      if (!allowed) problems.push(`${module.path} imports ${name}, which ${layer?.name} may not`)
    }
  }
  agree(problems, 'imports from outside against the layer table (src/layers.ts):')
})

const ambient =
  /\b(Date\.now|new Date\(\s*\)|performance\.|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|globalThis\.|crypto\.|fetch\(|console\.|async\b|await\b|new Promise)/

test('pure layers never touch the clock, randomness, timers, the environment, output or promises', () => {
  const pure = products.filter(module => layerOf(module.path)?.pure)
  assert.ok(pure.length >= 20, `only ${pure.length} pure modules were found`)
  agree(
    pure.flatMap(module => linesWith(module, module.code, ambient)),
    'ambient calls in pure layers (pass the value in instead):',
  )
})

test('randomness is seeded or from the operating system, never Math.random', () => {
  agree(
    products.flatMap(module => linesWith(module, module.code, /\bMath\.random\b/)),
    'use kit/random.ts with a seed, or node:crypto:',
  )
})

test('no module imports itself round a corner', t => {
  const cycles = cyclesOf(module => module.runs)
  for (const one of cyclesOf(module => module.reaches)) t.diagnostic(`knot of types: ${one}`)
  agree(cycles, 'cycles of imports:')
})

function cyclesOf(reach: (module: Module) => readonly string[]): string[] {
  const reaches = new Map(everything.map(module => [module.path, reach(module)]))
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) cycles.push([...trail.slice(at), path].join(' -> '))
    if (at >= 0 || done.has(path)) return
    for (const next of reaches.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of reaches.keys()) visit(path, [])
  return cycles
}

function reachableFrom(starts: readonly string[]): Set<string> {
  const reaches = new Map(everything.map(module => [module.path, module.reaches]))
  const found = new Set(starts)
  for (const path of found) for (const next of reaches.get(path) ?? []) found.add(next)
  return found
}

test('no module is dead: the product reaches what is product, tests reach what helps tests', () => {
  const started = entries.map(path => `src/${path}`)
  const tools = everything.map(one => one.path).filter(path => /^(scripts|bench)\//.test(path))
  const product = reachableFrom([...started, ...tools])
  const any = reachableFrom([...product, ...everything.map(one => one.path).filter(isTest)])
  const dead = sources
    .map(one => one.path)
    .filter(path => path !== 'src/layers.ts' && !isTest(path))
    // A layer's face may offer more than is taken today; what it offers must be reached otherwise.
    .filter(path => path !== 'src/policy/index.ts')
    .filter(path => !(isHelper(path) ? any : product).has(path))
    // Fixtures are programs that tests start by their path.
    .filter(
      path =>
        !(
          path.includes('/fixtures/') &&
          everything.some(one => isTest(one.path) && one.text.includes(path.split('/').at(-1)!))
        ),
    )
  agree(dead, `modules that ${entries.join(', ')} (and for helpers, the tests) do not reach:`)
})

test('a module opens with a comment that says what it owns, and has named exports only', () => {
  const problems: string[] = []
  for (const module of products.filter(one => !generatedFile(one.path))) {
    const lines = module.text.replace(/^#!.*\n/, '').split('\n')
    const opening = lines.findIndex(line => !line.startsWith('//'))
    if (opening < 1) problems.push(`${module.path} opens without a comment`)
    if (opening > 14) problems.push(`${module.path} opens with ${opening} lines of comment; 10 are enough`)
    problems.push(...linesWith(module, module.code, /^\s*export default\b/))
  }
  agree(problems, 'openings and exports:')
})

test('files stay readable: far above 500 lines is a reason to split', t => {
  const counted = products
    .filter(one => !generatedFile(one.path))
    .map(one => ({ path: one.path, lines: one.text.split('\n').length }))
  for (const { path, lines } of counted.filter(one => one.lines > 500))
    t.diagnostic(`${path} has ${lines} lines`)
  agree(
    counted.filter(one => one.lines > 1000).map(one => `${one.path} has ${one.lines} lines`),
    'files above 1,000 lines:',
  )
})

test('nothing is left for later, and no test is switched off', () => {
  // Written in two parts, so that this line is not its own finding.
  const later = new RegExp(`\\b(TO${'DO'}|FIX${'ME'}|XX${'X'})\\b`)
  const off = /\b(test|it|describe)\.(skip|only|todo)\b|\b(skip|only|todo): *true/
  agree(
    everything.flatMap(module => [
      ...linesWith(module, module.text, later),
      ...(isTest(module.path) ? linesWith(module, module.code, off) : []),
    ]),
    'work left for later:',
  )
})

/** Every text file that is in the repository or would be. */
function textFiles(): string[] {
  const patterns = ['src', 'test', 'bench', 'scripts', 'docs', 'examples', 'schema', '.ci'].map(
    folder => `${folder}/**/*`,
  )
  return globSync([...patterns, '*.{md,json}'], { cwd: root })
    .map(path => path.replaceAll('\\', '/'))
    .filter(path => !/(^|\/)(node_modules|dist|\.tenfold)\//.test(path))
    .filter(path => statSync(join(root, path)).isFile() && !/\.(png|jpg|ico|gz|tgz)$/.test(path))
}

test('no file names a folder outside the project, or the host of a package registry', () => {
  const outside = new RegExp(
    ['\\.\\./shar' + 'ed\\b', '/wo' + 'rk/', 'regis' + 'try\\.(npmjs|yarn)', 'npm' + 'mirror'].join('|'),
  )
  const problems = textFiles().flatMap(path => {
    const lines = readFileSync(join(root, path), 'utf8').split('\n')
    return lines.flatMap((line, index) =>
      outside.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
    )
  })
  agree(problems, 'names of places outside the project:')
})

test('every component has an index and a page about itself', () => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter(entry => entry.isDirectory())
  const problems = folders.flatMap(({ name }) => {
    const wanted = ['kit', 'io', 'wire'].includes(name)
      ? ['README.md']
      : ['README.md', name === 'cli' ? 'main.ts' : 'index.ts']
    return wanted
      .filter(file => !existsSync(join(root, 'src', name, file)))
      .map(file => `src/${name}/${file} is missing`)
  })
  agree(problems, 'components:')
})

test('ARCHITECTURE.md shows the layer table, names only what exists, and stays under 300 lines', () => {
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  assert.ok(page.includes(layerTable()), `ARCHITECTURE.md does not hold this table:\n${layerTable()}`)
  assert.ok(page.split('\n').length < 300, 'ARCHITECTURE.md has 300 lines or more')
  const named = [...page.matchAll(/`((?:src|test|bench|scripts|docs|examples|schema|\.ci)\/[\w./-]*)`/g)].map(
    match => match[1]!,
  )
  assert.ok(named.length >= 20, `only ${named.length} paths were found in ARCHITECTURE.md`)
  agree(
    [...new Set(named)].filter(path => !existsSync(join(root, path))),
    'paths that ARCHITECTURE.md names and that do not exist:',
  )
})

test('links between our own pages lead somewhere', () => {
  const pages = textFiles().filter(path => path.endsWith('.md'))
  assert.ok(pages.length >= 8, `only ${pages.length} pages were found`)
  const problems = pages.flatMap(path => {
    const links = [...readFileSync(join(root, path), 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(
      match => match[1]!,
    )
    const ours = links.filter(link => !/^[a-z]+:/.test(link))
    return ours
      .filter(link => !existsSync(join(root, path, '..', link)))
      .map(link => `${path} links to ${link}`)
  })
  agree(problems, 'links to pages that do not exist:')
})

test('every coded failure is in the reference page and is provoked by some test', async () => {
  const { allFailures, errorsPage } = await import('../scripts/errors-page.ts')
  const listed = await allFailures()
  assert.ok(listed.length >= 20, `only ${listed.length} failures were found`)
  assert.equal(
    readFileSync(join(root, 'docs/reference/errors.md'), 'utf8'),
    await errorsPage(),
    'docs/reference/errors.md is not what the catalogues say: run npm run generate',
  )
  const tests = everything.filter(one => isTest(one.path)).map(one => one.text)
  const goldens = globSync(['src/**/golden/**/*', 'src/**/scenarios/**/*', 'test/**/*.txt'], { cwd: root })
    .filter(path => statSync(join(root, path)).isFile())
    .map(path => readFileSync(join(root, path), 'utf8'))
  const all = [...tests, ...goldens].join('\n')
  const quiet = listed.filter(({ name, kind }) => !all.includes(kind.code) && !all.includes(name))
  agree(
    quiet.map(({ kind }) => kind.code),
    'failures that no test provokes (by code or by catalogue name):',
  )
})
