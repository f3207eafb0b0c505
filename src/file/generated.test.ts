import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkSystem } from './check.ts'
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

/** As much of JSON Schema as the document uses; an unknown keyword is a fault, so that none is passed over. */
function conforms(value: unknown, node: JsonSchema): boolean {
  return Object.entries(node).every(([keyword, rule]) => {
    const check = keywords[keyword]
    assert.ok(check || keyword.startsWith('x-'), `the validator of this test lacks the keyword ${keyword}`)
    return check?.(value, rule as never, node) ?? true
  })
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const about = (): boolean => true
const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: value => typeof value === 'string',
  integer: Number.isInteger,
  number: value => typeof value === 'number',
  boolean: value => typeof value === 'boolean',
}
const keywords: Readonly<Record<string, (value: unknown, rule: never, node: JsonSchema) => boolean>> = {
  $schema: about,
  title: about,
  description: about,
  default: about,
  type: (value, rule: string) => types[rule]?.(value) ?? assert.fail(`type ${rule}`),
  const: (value, rule) => value === rule,
  enum: (value, rule: unknown[]) => rule.includes(value),
  anyOf: (value, rule: JsonSchema[]) => rule.some(one => conforms(value, one)),
  pattern: (value, rule: string) => typeof value !== 'string' || new RegExp(rule, 'u').test(value),
  minLength: (value, rule: number) => typeof value !== 'string' || value.length >= rule,
  maxLength: (value, rule: number) => typeof value !== 'string' || value.length <= rule,
  minimum: (value, rule: number) => typeof value !== 'number' || value >= rule,
  maximum: (value, rule: number) => typeof value !== 'number' || value <= rule,
  minItems: (value, rule: number) => !Array.isArray(value) || value.length >= rule,
  maxItems: (value, rule: number) => !Array.isArray(value) || value.length <= rule,
  maxProperties: (value, rule: number) => !isObject(value) || Object.keys(value).length <= rule,
  items: (value, rule: JsonSchema) => !Array.isArray(value) || value.every(one => conforms(one, rule)),
  required: (value, rule: string[]) => !isObject(value) || rule.every(key => Object.hasOwn(value, key)),
  propertyNames: (value, rule: JsonSchema) =>
    !isObject(value) || Object.keys(value).every(key => conforms(key, rule)),
  properties: (value, rule: Record<string, JsonSchema>) =>
    !isObject(value) ||
    Object.entries(rule).every(([key, one]) => value[key] === undefined || conforms(value[key], one)),
  additionalProperties: (value, rule: boolean | JsonSchema, node) => {
    const others = isObject(value)
      ? Object.keys(value).filter(key => !Object.hasOwn(node.properties ?? {}, key))
      : []
    return others.every(
      key => rule !== false && (rule === true || conforms((value as Record<string, unknown>)[key], rule)),
    )
  },
}

test('the JSON Schema takes every golden system that checks, and refuses keys that are not there', () => {
  const folder = join(import.meta.dirname, 'golden')
  let taken = 0
  for (const name of readdirSync(folder)) {
    const head = readFileSync(join(folder, name), 'utf8').split(/^----\n/m)[0] ?? ''
    const data = JSON.parse(head.replace(/^(#|env |show\b).*\n/gm, '')) as unknown
    const result = checkSystem(data)
    if (result.ok)
      taken += Number(conforms(data, schema) || assert.fail(`${name}: the JSON Schema refuses it`))
    else if (
      result.problems.some(one => /UNKNOWN_KEY|MISSING$|LATER/.test(one.code) && one.path !== 'edge.routes')
    )
      assert.ok(!conforms(data, schema), `${name}: the JSON Schema takes it`)
  }
  assert.ok(taken > 30, `only ${taken} systems`)
})
