import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inputTypes } from './input-types.ts'
import { type JsonSchema, systemJsonSchema } from './json-schema.ts'
import { referencePage } from './reference.ts'

const root = join(import.meta.dirname, '../..')
const schema = systemJsonSchema()

test('the committed schema, reference page and types are what the schemas say now (else: npm run generate)', () => {
  const files = {
    'schema/tenfold.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
    'docs/reference/system-file.md': referencePage(schema),
    'src/file/input.generated.ts': inputTypes(schema),
  }
  for (const [path, content] of Object.entries(files))
    assert.equal(readFileSync(join(root, path), 'utf8'), content, path)
})

function everyKey(node: JsonSchema, path: string): (readonly [string, JsonSchema])[] {
  const below = Object.entries(node.properties ?? {}).flatMap(([key, one]) => [
    [`${path}.${key}`, one] as const,
    ...everyKey(one, `${path}.${key}`),
  ])
  const inside = [node.items, node.additionalProperties, ...(node.anyOf ?? [])].filter(
    one => typeof one === 'object',
  )
  return [...below, ...inside.flatMap(one => everyKey(one, path))]
}

test('every key has a sentence', () => {
  const keys = everyKey(schema, '')
  assert.ok(keys.length > 100, `only ${keys.length} keys`)
  for (const [path, one] of keys)
    assert.match(one.description ?? '', /^.{5,}[.!]$|`[.]?$/, `${path}: ${one.description}`)
})

test('the reference page names every key', () => {
  const page = referencePage(schema)
  for (const [path] of everyKey(schema, ''))
    if (path !== '.$schema')
      assert.ok(page.includes(`.${path.split('.').at(-1)}\``) || page.includes(`\`${path.slice(1)}\``), path)
})
