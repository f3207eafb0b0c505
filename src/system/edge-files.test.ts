import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type CheckedSystem, checkSystem, fileFailures } from '../file/index.ts'
import { readEdgeFiles } from './edge-files.ts'

/** A folder with these files; removed at the end. */
function folder(t: TestContext, files: Readonly<Record<string, string>>): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'tenfold-files-')))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(made, name)), { recursive: true })
    writeFileSync(join(made, name), content)
  }
  return made
}

function system(edge: object, web: object = { command: 'node web.mjs' }): CheckedSystem {
  const checked = checkSystem({ name: 'shop', edge, services: { web } })
  assert.ok(checked.ok, JSON.stringify(checked))
  return checked.system
}

const hooked = system({ routes: [{ path: '/*', to: 'web', hooks: { module: 'hooks.ts', onRequest: 'a' } }] })

test('pages are read with their content type, once for all statuses that name them', t => {
  const base = folder(t, { 'a.html': '<h1>{status}</h1>', 'b.json': '{}' })
  const { files, problems, watched } = readEdgeFiles(
    system({ errorPages: { 404: 'a.html', '5xx': 'a.html', 403: 'b.json' } }),
    base,
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(files.pages, {
    'a.html': { contentType: 'text/html; charset=utf-8', body: '<h1>{status}</h1>' },
    'b.json': { contentType: 'application/json', body: '{}' },
  })
  assert.deepEqual(watched.toSorted(), [join(base, 'a.html'), join(base, 'b.json')])
})

test('everything that is missing or unfit is told at once, with its key', t => {
  const base = folder(t, { 'big.html': 'x'.repeat(70_000), 'page.png': '', 'cert.pem': '', 'dir/x': '' })
  const { problems } = readEdgeFiles(
    system(
      {
        listen: { http: 80, https: 443 },
        tls: {
          certificates: [{ certFile: 'cert.pem', keyFile: 'key.pem' }],
          clientCertificates: { caFile: 'dir' },
          acme: { hosts: ['a.example'], agreeTerms: true, caFile: 'ca.pem' },
        },
        errorPages: { 404: 'big.html', 500: 'page.png' },
        maintenance: { page: 'soon.html' },
        tracing: { endpoint: 'http://127.0.0.1:1', headersFile: 'otel' },
        routes: [
          { path: '/a/*', files: 'cert.pem' },
          { path: '/b/*', files: 'dist' },
          { path: '/*', to: 'web', hooks: { module: 'gone.ts', onRequest: 'a' } },
        ],
      },
      { addresses: ['10.0.0.1:443'], tls: { caFile: 'members.pem' } },
    ),
    base,
  )
  assert.deepEqual(
    problems.map(({ path, message }) => `${path} ${message}`),
    [
      'edge.errorPages.404 has 70000 bytes; at most 65536 are allowed',
      'edge.errorPages.500 is not a kind of page: .html, .htm, .txt, .json',
      'edge.maintenance.page does not exist',
      'edge.tracing.headersFile does not exist',
      'edge.tls.certificates[0].keyFile does not exist',
      'edge.tls.clientCertificates.caFile is not a file',
      'edge.tls.acme.caFile does not exist',
      'edge.routes[0].files is not a folder',
      'edge.routes[1].files does not exist',
      'edge.routes[2].hooks.module does not exist',
      'services.web.tls.caFile does not exist',
    ],
  )
  for (const problem of problems) {
    assert.equal(problem.code, fileFailures.pathUnusable.code)
    assert.match(problem.remedy ?? '', /./)
  }
})

test("a hook module's hash follows what it imports by relative paths, in circles too, and nothing else", t => {
  const base = folder(t, {
    'hooks.ts': "import { b } from './lib/b.ts'\nimport 'node:fs'\nexport const a = b",
    'lib/b.ts': "export const b = 1\nexport * from '../c.ts'\nconst d = () => import('./d.mjs')",
    'c.ts': "import type { A } from './hooks.ts'\nexport type C = A",
    'lib/d.mjs': 'export {}',
    'other.ts': '',
  })
  const hash = (): string => readEdgeFiles(hooked, base).files.hookHashes['hooks.ts'] as string
  const first = hash()
  assert.match(first, /^[0-9a-f]{64}$/)
  writeFileSync(join(base, 'other.ts'), 'changed')
  assert.equal(hash(), first)
  const seen = new Set([first])
  for (const name of ['hooks.ts', 'lib/b.ts', 'c.ts', 'lib/d.mjs']) {
    writeFileSync(
      join(base, name),
      `// changed\n${name === 'hooks.ts' ? "import './lib/b.ts'" : ''}${name === 'lib/b.ts' ? "import '../c.ts'\nimport './d.mjs'" : ''}`,
    )
    assert.ok(!seen.has(hash()), `${name} is not in the hash`)
    seen.add(hash())
  }
  assert.deepEqual(
    readEdgeFiles(hooked, base).watched.toSorted(),
    ['c.ts', 'hooks.ts', 'lib/b.ts', 'lib/d.mjs'].map(name => join(base, name)),
  )
})

test('an import that is not there is the hook worker’s to tell: the hash is of what there is', t => {
  const base = folder(t, { 'hooks.ts': "import './gone.ts'" })
  const { files, problems } = readEdgeFiles(hooked, base)
  assert.deepEqual(problems, [])
  assert.match(files.hookHashes['hooks.ts'] ?? '', /^[0-9a-f]{64}$/)
})
