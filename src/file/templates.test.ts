import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem, type FoundProject, systemName, systemTemplate } from './index.ts'

/** The template's object, evaluated as the file would be; the import is the identity. */
function exported(project: FoundProject): unknown {
  const { content } = systemTemplate(project)
  const body = content.replace(/^import .*\n/, '').replace('export default defineSystem(', 'return (')
  return new Function(body)()
}

test('every template checks without a problem or warning, and runs what was found', () => {
  const cases: readonly (readonly [FoundProject, string])[] = [
    [{ folder: 'Shop', files: [] }, 'node server.mjs'],
    [{ folder: 'shop', files: ['index.js', 'server.js'] }, 'node server.js'],
    [
      {
        folder: 'shop',
        files: ['server.js'],
        packageJson: { name: '@acme/web-shop', scripts: { start: 'node dist/app.js' } },
      },
      'node dist/app.js',
    ],
    [
      { folder: 'shop', files: [], packageJson: { scripts: { start: "NODE_ENV='x' tsx a.ts" } } },
      'npm start',
    ],
    [{ folder: 'shop', files: ['app.mjs'], packageJson: { scripts: { start: 5 } } }, 'node app.mjs'],
    [{ folder: 'shop', files: ['app.mjs'], packageJson: null }, 'node app.mjs'],
  ]
  for (const [project, command] of cases) {
    const result = checkSystem(exported(project))
    assert.ok(result.ok)
    assert.deepEqual(result.warnings, [])
    const { web } = result.system.services
    assert.equal(web?.kind === 'command' ? web.command : '', command)
  }
})

test('any folder name becomes a name that a system may have', () => {
  const cases = {
    Shop: 'shop',
    '@acme/web-shop': 'web-shop',
    '2fast': 'fast',
    'a b_c': 'a-b-c',
    '---': 'app',
    '': 'app',
    ünï: 'n',
    [`a${'-b'.repeat(50)}`]: `a${'-b'.repeat(19)}`,
  }
  for (const [folder, name] of Object.entries(cases)) {
    assert.equal(systemName(folder), name)
    assert.ok(checkSystem({ name, services: { web: { command: 'x' } } }).ok)
  }
})
