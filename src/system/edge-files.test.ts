import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAuthority } from '../../test/tools/certificates.ts'
import { type CheckedSystem, checkSystem, fileFailures } from '../file/index.ts'
import { readEdgeFiles } from './edge-files.ts'
import { hookSyntaxProblems } from './hook-syntax.ts'

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
  const base = folder(t, { 'hooks.ts': "import './gone.ts'\nexport const a = 1" })
  const { files, problems } = readEdgeFiles(hooked, base)
  assert.deepEqual(problems, [])
  assert.match(files.hookHashes['hooks.ts'] ?? '', /^[0-9a-f]{64}$/)
})

test('certificates that can not be used are problems, those that clients will refuse are warnings', async t => {
  const authority = await createAuthority()
  const [good, other, late] = await Promise.all([
    authority.sign({ hosts: ['a.example', '*.b.example'] }),
    authority.sign({ hosts: ['c.example'] }),
    authority.sign({ hosts: ['d.example'], fromDays: -9, untilDays: -2 }),
  ])
  const base = folder(t, {
    'ca.pem': authority.ca,
    'good.pem': good.cert,
    'good.key': good.key,
    'other.key': other.key,
    'late.pem': late.cert,
    'late.key': late.key,
  })
  const look = (tls: object, web?: object): string[] => {
    const { problems, warnings } = readEdgeFiles(system({ listen: { http: 80, https: 443 }, tls }, web), base)
    return [...problems, ...warnings].map(({ path, message }) => `${path} ${message}`)
  }
  const pair = (certFile: string, keyFile: string, hosts: string[] = []): object => ({
    certificates: [{ certFile, keyFile, hosts }],
  })
  assert.deepEqual(look(pair('good.pem', 'good.key', ['a.example', 'x.b.example'])), [])
  assert.match(
    look(pair('good.pem', 'other.key')).join(),
    /^edge\.tls\.certificates\[0\] can not be used: The key does not belong .* good\.pem \(key: other\.key\)$/,
  )
  assert.match(look(pair('good.pem', 'good.pem')).join(), /can not be used: The key of good\.pem/)
  assert.match(look(pair('late.pem', 'late.key')).join(), /certFile has expired on \d{4}-\d\d-\d\d/)
  assert.deepEqual(look(pair('good.pem', 'good.key', ['x.y.b.example'])), [
    'edge.tls.certificates[0].certFile is not for x.y.b.example, but for a.example, *.b.example',
  ])
  assert.deepEqual(look({ ...pair('good.pem', 'good.key'), clientCertificates: { caFile: 'ca.pem' } }), [])
  assert.match(
    look({ ...pair('good.pem', 'good.key'), clientCertificates: { caFile: 'good.key' } }).join(),
    /^edge\.tls\.clientCertificates\.caFile can not be used: .*good\.key.* no certificate/,
  )
  const client = { addresses: ['10.0.0.1:443'], tls: { certFile: 'good.pem', keyFile: 'late.key' } }
  assert.match(
    look(pair('good.pem', 'good.key'), client).join(),
    /^services\.web\.tls can not be used: The key does not/,
  )
})

test('a hook that its module can not export is told; what is exported onward is not followed', t => {
  const told = (text: string): string =>
    readEdgeFiles(hooked, folder(t, { 'hooks.ts': text }))
      .problems.map(({ path, message }) => `${path} ${message}`)
      .join()
  assert.equal(told('export const b = () => {}'), 'edge.routes[0].hooks.onRequest is not in hooks.ts')
  assert.equal(told('export function a() {}'), '')
  assert.equal(told("export * from './more.ts'"), '')
})

test('a hook module that does not parse is told with its line', async t => {
  const told = async (text: string): Promise<string> => {
    const problems = await hookSyntaxProblems(hooked, folder(t, { 'hooks.ts': text }))
    return problems.map(({ path, message }) => `${path} ${message}`).join()
  }
  assert.match(
    await told('export const a = 1\nexport const b = = 2'),
    /^edge\.routes\[0\]\.hooks\.module does not parse: .+ \(line 2: export const b = = 2\)$/,
  )
  assert.equal(
    await told("import type { OnRequest } from 'tenfold'\nexport const a: OnRequest = () => {}"),
    '',
  )
})
