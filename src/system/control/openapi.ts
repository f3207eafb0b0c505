// The OpenAPI description, generated from the contract. Pure: contract in, document out. A path or shape is never
// written here by hand.

import { z } from 'zod'
import { type Answer, contract, type RouteContract } from './contract.ts'
import { failureSchema } from './schemas.ts'

export type JsonObject = { [key: string]: unknown }

export function openApiDocument(version: string): JsonObject {
  const paths: Record<string, JsonObject> = {}
  for (const [operation, route] of Object.entries(contract)) {
    const entry = (paths[route.path] ??= {})
    entry[route.method] = describeOperation(operation, route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tenfold control API',
      version,
      description:
        'Answers on the control address of a running system. Long operations answer one JSON value a line; the last line is `done` or `failed`.',
    },
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A token of the state directory: `token` (admin) or one of tokens.json (read, metrics).',
        },
      },
      schemas: { Failure: jsonSchema(failureSchema, 'output') },
    },
  }
}

function describeOperation(operation: string, route: RouteContract): JsonObject {
  return {
    operationId: operation,
    summary: route.summary,
    'x-tenfold-scope': route.scope,
    ...(route.scope === 'none' ? { security: [] } : { security: [{ token: [] }] }),
    parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query')],
    ...(route.body === undefined ? {} : { requestBody: requestBody(route.body) }),
    responses: { ...success(route.answer), default: failureResponse },
  }
}

const failureResponse: JsonObject = {
  description: 'Refused or failed: what, and what to do.',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Failure' } } },
}

function parameters(schema: z.ZodObject | undefined, place: 'path' | 'query'): JsonObject[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, JsonObject>
    required?: string[]
  }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(property.description === undefined ? {} : { description: property.description }),
    schema: property,
  }))
}

function requestBody(schema: z.ZodObject): JsonObject {
  return { required: false, content: { 'application/json': { schema: jsonSchema(schema, 'input') } } }
}

function success(answer: Answer): JsonObject {
  if (answer.kind === 'text') {
    return {
      200: { description: 'Text.', content: { [answer.contentType]: { schema: { type: 'string' } } } },
    }
  }
  const schema = jsonSchema(answer.schema, 'output')
  if (answer.kind === 'ndjson') {
    return { 200: { description: 'One value a line.', content: { 'application/x-ndjson': { schema } } } }
  }
  return Object.fromEntries(
    answer.statuses.map(status => [
      status,
      { description: 'The answer.', content: { 'application/json': { schema } } },
    ]),
  )
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}
