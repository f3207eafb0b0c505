// Makes the next command runnable: npm packages, the pinned Node, and for `--tests` and `--bench` the system programs
// they use. Idempotent, free of dependencies, and written for Node 18, because it runs before anything is installed.
// It never upgrades, removes or reconfigures what is there, and never leaves a system service running.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const stampFile = join(modules, '.tenfold-setup')
const pinnedMajor = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.node.split(
  '.',
)[0]

/** Program that must be on the path -> Debian package that brings it. */
const programs = {
  tests: {
    nginx: 'nginx',
    haproxy: 'haproxy',
    curl: 'curl',
    chromium: 'chromium',
    ps: 'procps',
    openssl: 'openssl',
    sslscan: 'sslscan',
    pebble: 'pebble',
    h2load: 'nghttp2-client',
    keepalived: 'keepalived',
    ip: 'iproute2',
    psql: 'postgresql-client',
    '/usr/lib/postgresql/15/bin/pgbench': 'postgresql-15',
    'redis-server': 'redis-server',
    w3m: 'w3m',
    slowhttptest: 'slowhttptest',
    '/usr/share/modsecurity-crs/rules/REQUEST-949-BLOCKING-EVALUATION.conf': 'modsecurity-crs',
    '/usr/lib/nginx/modules/ngx_http_modsecurity_module.so': 'libnginx-mod-http-modsecurity',
  },
  bench: {
    nginx: 'nginx',
    '/usr/lib/nginx/modules/ngx_stream_module.so': 'libnginx-mod-stream',
    haproxy: 'haproxy',
    wrk: 'wrk',
    taskset: 'util-linux',
    h2load: 'nghttp2-client',
    openssl: 'openssl',
    '/usr/lib/postgresql/15/bin/pgbench': 'postgresql-15',
    pgbouncer: 'pgbouncer',
    varnishd: 'varnish',
    '/usr/lib/python3/dist-packages/simpy/__init__.py': 'python3-simpy3',
    'redis-server': 'redis-server',
    sqlmap: 'sqlmap',
    wapiti: 'wapiti',
    '/usr/share/games/fortunes/fortunes': 'fortunes',
    '/usr/share/modsecurity-crs/rules/REQUEST-949-BLOCKING-EVALUATION.conf': 'modsecurity-crs',
  },
}

function say(sentence) {
  console.log(`setup: ${sentence}`)
}

function stop(sentence) {
  console.error(`setup: ${sentence}`)
  process.exit(1)
}

/** Content, not times: a checkout touches files that did not change. */
function wantedStamp() {
  const hash = createHash('sha256')
  for (const name of ['package.json', 'package-lock.json']) {
    const file = join(root, name)
    if (existsSync(file)) hash.update(readFileSync(file))
  }
  return `${hash.digest('hex')} ${process.platform}-${process.arch}\n`
}

function installedNodeVersion() {
  const binary = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
  const run = spawnSync(binary, ['--version'], { encoding: 'utf8', shell: process.platform === 'win32' })
  return run.status === 0 ? run.stdout.trim() : undefined
}

function runNpmInstall() {
  // Its warnings name each package that wants a newer Node than the machine's own: the pinned one runs them.
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error']
  const started = Date.now()
  say(`npm ${args.join(' ')} (packages are missing or package.json changed)`)
  const npm = process.env.npm_execpath
  const run = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: 'inherit' })
    : spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
  if (run.status !== 0)
    stop('npm install failed (its message stands above). Mend that and run the command again.')
  say(`npm packages installed in ${Math.round((Date.now() - started) / 1000)} s`)
}

function ensurePackages() {
  const stamped = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : ''
  if (stamped !== wantedStamp()) {
    runNpmInstall()
    writeFileSync(stampFile, wantedStamp())
  }
  const version = installedNodeVersion()
  if (version?.startsWith(`v${pinnedMajor}.`)) return
  rmSync(stampFile, { force: true })
  const found = version ? `is ${version}` : 'does not run'
  stop(
    `node_modules/.bin/node ${found}, but Node ${pinnedMajor} is pinned. Its install script may have been blocked: ` +
      'allow it (`npm config set ignore-scripts false`), remove node_modules and run the command again.',
  )
}

function onPath(program) {
  // A module of a program: by its file.
  if (program.startsWith('/')) return existsSync(program)
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']
  return folders.some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function apt(args) {
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const run = spawnSync('apt-get', [...options, ...args], { stdio: ['ignore', 'ignore', 'inherit'], env })
  return run.status === 0
}

/** Debian asks `policy-rc.d` before it starts an installed service; 101 means no. */
function withoutServiceStarts(action) {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return action()
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}

function ensurePrograms(purpose, table) {
  const missing = Object.keys(table).filter(program => !onPath(program))
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(program => table[program]))].join(' ')
  const debian = existsSync('/etc/debian_version') && onPath('apt-get')
  const asRoot = process.getuid?.() === 0
  if (!debian || !asRoot) {
    const remedy = debian
      ? `Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages}`
      : `Install them with your package manager; on Debian they are the packages ${packages}.`
    stop(`the ${purpose} need the programs ${missing.join(', ')}, which are not on the path. ${remedy}`)
  }
  say(`apt-get install ${packages} (the ${purpose} use ${missing.join(', ')})`)
  const started = Date.now()
  const install = ['install', '-y', '--no-install-recommends', ...packages.split(' ')]
  const done = withoutServiceStarts(() => apt(['update']) && apt(install))
  const still = missing.filter(program => !onPath(program))
  if (!done || still.length > 0) {
    stop(
      `apt-get could not install ${packages}; missing: ${still.join(', ') || 'none'}. Install them by hand and try again.`,
    )
  }
  say(`Debian packages installed in ${Math.round((Date.now() - started) / 1000)} s`)
}

const flags = process.argv.slice(2)
const unknown = flags.find(flag => flag !== '--tests' && flag !== '--bench')
if (unknown) stop(`unknown option ${unknown}; allowed: --tests, --bench`)

ensurePackages()
if (flags.includes('--tests')) ensurePrograms('tests', programs.tests)
if (flags.includes('--bench')) ensurePrograms('benchmarks', programs.bench)
