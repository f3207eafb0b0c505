// The JSON Schema of the system file, from the schemas that check it. The generated reference page and the generated
// input types are made from the same document. Keys that begin with `x-` are ours.

import * as z from 'zod'
import { systemSchema } from './schema.ts'

/** The part of JSON Schema that our schemas use. */
export interface JsonSchema {
  readonly $schema?: string
  readonly title?: string
  readonly description?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  /** A sentence: what may stand there. */
  readonly 'x-allowed'?: string
  /** TypeScript type in the generated input types. */
  readonly 'x-type'?: string
}

export function systemJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(systemSchema, { io: 'input' }) as JsonSchema
  return { ...schema, title: 'Tenfold system file' }
}
