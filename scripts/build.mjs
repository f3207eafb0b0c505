// Emits `dist` for publishing: JavaScript and declarations from `src`, and the files beside them that are read at run
// time. `node scripts/build.mjs [--out FOLDER]`. Never publishes, never touches the sources.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const outFlag = process.argv.indexOf('--out')
const out = resolve(outFlag > 0 ? process.argv[outFlag + 1] : join(root, 'dist'))

function stop(sentence) {
  console.error(`build: ${sentence}`)
  process.exit(1)
}

function compile() {
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const run = spawnSync(tsc, ['-p', join(root, 'tsconfig.build.json'), '--outDir', out], { stdio: 'inherit' })
  if (run.status !== 0) stop('the compiler found errors (above); nothing usable was emitted')
}

function copyRunTimeFiles() {
  const sources = join(root, 'src')
  const files = globSync('**/*.{json,html,css,js,mjs,svg,txt}', { cwd: sources })
  for (const file of files.filter(name => !/(^|\/)fixtures\/|\.test\./.test(name))) {
    mkdirSync(dirname(join(out, file)), { recursive: true })
    cpSync(join(sources, file), join(out, file))
  }
}

/** The compiler renames `./x.ts` in imports, not in `new URL('./x.ts', import.meta.url)`, by which threads start. */
function renameUrls() {
  for (const file of globSync('**/*.js', { cwd: out })) {
    const path = join(out, file)
    const before = readFileSync(path, 'utf8')
    const after = before.replace(/new URL\((['"`])(\.[^'"`]+)\.ts\1/g, 'new URL($1$2.js$1')
    // Not: what a module chooses by its own ending (`? './x.ts' : './x.js'`), and imports inside generated text.
    const left = after.match(/(?<!\? |from )(['"`])\.{1,2}\/[\w./-]+\.ts\1/)
    if (left) stop(`${path} still names ${left[0]}: write new URL('./x.ts', import.meta.url) instead`)
    if (after !== before) writeFileSync(path, after)
  }
}

rmSync(out, { recursive: true, force: true })
compile()
copyRunTimeFiles()
renameUrls()
const main = join(out, 'cli', 'main.js')
if (existsSync(main)) chmodSync(main, 0o755)
console.log(`build: ${globSync('**/*.js', { cwd: out }).length} modules in ${out}`)
