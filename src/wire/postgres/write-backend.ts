// Messages that a router says to a client: those that it makes itself, in place of a server. Each answer is one whole
// frame of exact size; those without content are made once and must not be changed.

import {
  bytesFrame,
  emptyFrame,
  frameFor,
  int16Part,
  int32Part,
  stringPart,
  textFrame,
  valuePart,
} from './compose.ts'
import { frameHeaderBytes } from './frame.ts'
import { backend, failedStatus, idleStatus, transactionStatus } from './types.ts'

export const parseComplete: Buffer = emptyFrame(backend.parseComplete)
export const bindComplete: Buffer = emptyFrame(backend.bindComplete)
export const closeComplete: Buffer = emptyFrame(backend.closeComplete)
export const noData: Buffer = emptyFrame(backend.noData)
export const emptyQueryResponse: Buffer = emptyFrame(backend.emptyQueryResponse)
export const portalSuspended: Buffer = emptyFrame(backend.portalSuspended)
export const authenticationOk: Buffer = bytesFrame(backend.authentication, int32Part(0))
export const readyIdle: Buffer = bytesFrame(backend.readyForQuery, Buffer.of(idleStatus))
export const readyInTransaction: Buffer = bytesFrame(backend.readyForQuery, Buffer.of(transactionStatus))
export const readyFailed: Buffer = bytesFrame(backend.readyForQuery, Buffer.of(failedStatus))

/** `status`: of the three in `types.ts`. */
export function readyForQuery(status: number): Buffer {
  if (status === idleStatus) return readyIdle
  return status === transactionStatus ? readyInTransaction : readyFailed
}

export function parameterStatus(name: string, value: string): Buffer {
  return textFrame(backend.parameterStatus, name, value)
}

/** `key`: 4 bytes for protocol 3.0, 4 to 256 for 3.2. */
export function backendKeyData(processId: number, key: Buffer): Buffer {
  return bytesFrame(backend.backendKeyData, int32Part(processId), key)
}

/** Said when a client asked for a newer minor version, or for `_pq_.` options, that we do not speak. */
export function negotiateProtocolVersion(minorVersion: number, unknownOptions: readonly string[]): Buffer {
  return bytesFrame(
    backend.negotiateProtocolVersion,
    int32Part((3 << 16) | minorVersion, unknownOptions.length),
    ...unknownOptions.map(stringPart),
  )
}

export function commandComplete(tag: string): Buffer {
  return textFrame(backend.commandComplete, tag)
}

export function notification(processId: number, channel: string, payload: string): Buffer {
  const parts = [int32Part(processId), stringPart(channel), stringPart(payload)]
  return bytesFrame(backend.notificationResponse, ...parts)
}

export interface Report {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'DEBUG' | 'INFO' | 'LOG'
  readonly code: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

export function errorResponse(report: Report): Buffer {
  return reportFrame(backend.errorResponse, report)
}

export function noticeResponse(report: Report): Buffer {
  return reportFrame(backend.noticeResponse, report)
}

/** Fields of 55.8: severity twice, translated (never here) and not. */
function reportFrame(type: number, report: Report): Buffer {
  const { severity, code, message, detail, hint } = report
  const texts = [`S${severity}`, `V${severity}`, `C${code}`, `M${message}`]
  if (detail !== undefined) texts.push(`D${detail}`)
  if (hint !== undefined) texts.push(`H${hint}`)
  return bytesFrame(type, ...texts.map(stringPart), Buffer.of(0))
}

export interface TextColumn {
  readonly name: string
  /** Of pg_type; 25 (text) where nothing is said. */
  readonly typeId?: number
}

const textTypeId = 25

/** Columns in the text format that belong to no table. */
export function rowDescription(columns: readonly TextColumn[]): Buffer {
  return bytesFrame(backend.rowDescription, int16Part(columns.length), ...columns.map(columnPart))
}

/** Table and column of origin, type, its size (-1: variable), its modifier (-1: none), format (0: text). */
function columnPart({ name, typeId }: TextColumn): Buffer {
  const type = int32Part(typeId ?? textTypeId)
  return Buffer.concat([
    stringPart(name),
    int32Part(0),
    int16Part(0),
    type,
    int16Part(-1),
    int32Part(-1),
    int16Part(0),
  ])
}

export function dataRow(values: readonly (Buffer | string | null)[]): Buffer {
  return bytesFrame(backend.dataRow, int16Part(values.length), ...values.map(valuePart))
}

export function parameterDescription(typeIds: readonly number[]): Buffer {
  return bytesFrame(backend.parameterDescription, int16Part(typeIds.length), int32Part(...typeIds))
}

/** An Authentication request: its code, then what belongs to it. */
export function authenticationRequest(code: number, payload: Buffer): Buffer {
  const frame = frameFor(backend.authentication, 4 + payload.length)
  frame.writeInt32BE(code, frameHeaderBytes)
  payload.copy(frame, frameHeaderBytes + 4)
  return frame
}

/** The one byte that answers SSLRequest and GSSENCRequest. */
export const encryptionAccepted: Buffer = Buffer.from('S')
export const encryptionRefused: Buffer = Buffer.from('N')
