// Messages that a router says to a server. Each answer is one whole frame (or packet) of exact size; those without
// content are made once and must not be changed.

import { bytesFrame, emptyFrame, int16Part, int32Part, stringPart, textFrame, valuePart } from './compose.ts'
import { requestCode } from './startup.ts'
import { frontend } from './types.ts'

export const syncMessage: Buffer = emptyFrame(frontend.sync)
export const flushMessage: Buffer = emptyFrame(frontend.flush)
export const terminateMessage: Buffer = emptyFrame(frontend.terminate)
export const copyDoneMessage: Buffer = emptyFrame(frontend.copyDone)
export const sslRequest: Buffer = int32Part(8, requestCode.ssl)

/** `version`: major in the upper half; 3.0 is 0x30000, 3.2 is 0x30002. */
export function startupMessage(version: number, parameters: Readonly<Record<string, string>>): Buffer {
  const texts = Object.entries(parameters).flatMap(pair => pair.map(stringPart))
  const body = Buffer.concat([int32Part(version), ...texts, Buffer.of(0)])
  return Buffer.concat([int32Part(4 + body.length), body])
}

export function cancelRequest(processId: number, key: Buffer): Buffer {
  return Buffer.concat([int32Part(12 + key.length, requestCode.cancel, processId), key])
}

export function passwordMessage(password: string): Buffer {
  return textFrame(frontend.password, password)
}

export function saslInitialResponse(mechanism: string, response: string): Buffer {
  return bytesFrame(frontend.password, stringPart(mechanism), valuePart(response))
}

export function saslResponse(response: string): Buffer {
  return bytesFrame(frontend.password, Buffer.from(response))
}

export function queryMessage(sql: string): Buffer {
  return textFrame(frontend.query, sql)
}

export function parseMessage(name: string, sql: string, typeIds: readonly number[] = []): Buffer {
  const types = [int16Part(typeIds.length), int32Part(...typeIds)]
  return bytesFrame(frontend.parse, stringPart(name), stringPart(sql), ...types)
}

/** Values and results in the text format. */
export function bindMessage(
  portal: string,
  statement: string,
  values: readonly (Buffer | string | null)[],
): Buffer {
  const names = [stringPart(portal), stringPart(statement)]
  const counts = int16Part(0, values.length)
  return bytesFrame(frontend.bind, ...names, counts, ...values.map(valuePart), int16Part(0))
}

/** Formats: 0 text, 1 binary; none: all text; one: for all. */
export function bindFormattedMessage(
  portal: string,
  statement: string,
  values: readonly (Buffer | null)[],
  valueFormats: readonly number[],
  resultFormats: readonly number[],
): Buffer {
  const formats = int16Part(valueFormats.length, ...valueFormats, values.length)
  const results = int16Part(resultFormats.length, ...resultFormats)
  const names = [stringPart(portal), stringPart(statement)]
  return bytesFrame(frontend.bind, ...names, formats, ...values.map(valuePart), results)
}

/** `target`: statement or portal, of `types.ts`. */
export function describeMessage(target: number, name: string): Buffer {
  return bytesFrame(frontend.describe, Buffer.of(target), stringPart(name))
}

export function closeMessage(target: number, name: string): Buffer {
  return bytesFrame(frontend.close, Buffer.of(target), stringPart(name))
}

/** `rowsMax` 0: all of them. */
export function executeMessage(portal: string, rowsMax: number): Buffer {
  return bytesFrame(frontend.execute, stringPart(portal), int32Part(rowsMax))
}

export function copyFailMessage(reason: string): Buffer {
  return textFrame(frontend.copyFail, reason)
}
