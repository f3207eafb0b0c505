// Type bytes of messages. The same byte can mean one thing from a client and another from a server.

function code(letter: string): number {
  return letter.charCodeAt(0)
}

/** From a client. */
export const frontend: Readonly<Record<FrontendName, number>> = {
  bind: code('B'),
  close: code('C'),
  copyData: code('d'),
  copyDone: code('c'),
  copyFail: code('f'),
  describe: code('D'),
  execute: code('E'),
  flush: code('H'),
  functionCall: code('F'),
  parse: code('P'),
  password: code('p'),
  query: code('Q'),
  sync: code('S'),
  terminate: code('X'),
}

export type FrontendName =
  | 'bind'
  | 'close'
  | 'copyData'
  | 'copyDone'
  | 'copyFail'
  | 'describe'
  | 'execute'
  | 'flush'
  | 'functionCall'
  | 'parse'
  | 'password'
  | 'query'
  | 'sync'
  | 'terminate'

/** From a server. */
export const backend: Readonly<Record<BackendName, number>> = {
  authentication: code('R'),
  backendKeyData: code('K'),
  bindComplete: code('2'),
  closeComplete: code('3'),
  commandComplete: code('C'),
  copyBothResponse: code('W'),
  copyData: code('d'),
  copyDone: code('c'),
  copyInResponse: code('G'),
  copyOutResponse: code('H'),
  dataRow: code('D'),
  emptyQueryResponse: code('I'),
  errorResponse: code('E'),
  functionCallResponse: code('V'),
  negotiateProtocolVersion: code('v'),
  noData: code('n'),
  noticeResponse: code('N'),
  notificationResponse: code('A'),
  parameterDescription: code('t'),
  parameterStatus: code('S'),
  parseComplete: code('1'),
  portalSuspended: code('s'),
  readyForQuery: code('Z'),
  rowDescription: code('T'),
}

export type BackendName =
  | 'authentication'
  | 'backendKeyData'
  | 'bindComplete'
  | 'closeComplete'
  | 'commandComplete'
  | 'copyBothResponse'
  | 'copyData'
  | 'copyDone'
  | 'copyInResponse'
  | 'copyOutResponse'
  | 'dataRow'
  | 'emptyQueryResponse'
  | 'errorResponse'
  | 'functionCallResponse'
  | 'negotiateProtocolVersion'
  | 'noData'
  | 'noticeResponse'
  | 'notificationResponse'
  | 'parameterDescription'
  | 'parameterStatus'
  | 'parseComplete'
  | 'portalSuspended'
  | 'readyForQuery'
  | 'rowDescription'

/** Statuses of ReadyForQuery. */
export const idleStatus: number = code('I')
export const transactionStatus: number = code('T')
export const failedStatus: number = code('E')

/** What Describe and Close name. */
export const statementTarget: number = code('S')
export const portalTarget: number = code('P')
