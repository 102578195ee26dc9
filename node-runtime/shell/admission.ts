import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { admissionStatement, type Connection, meshIdOf } from '../contract/index.ts';

/**
 * Shows that whoever enrols this key was given the connection string, without giving the password away. It proves no more:
 * everybody who has the string may enrol.
 */
export function admissionOf(connection: Connection, node: string, publicKey: string): string {
  return codeOf(connection, node, publicKey).toString('base64url');
}

/** Whether the code is by somebody who knows the password of this very connection. */
export function isAdmitted(connection: Connection, node: string, publicKey: string, admission: string): boolean {
  const wanted = codeOf(connection, node, publicKey);
  const found = Buffer.from(admission, 'base64url');
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}

function codeOf(connection: Connection, node: string, publicKey: string): Buffer {
  const meshId = meshIdOf(connection);
  const key = Buffer.from(hkdfSync('sha256', connection.password, meshId, 'foremesh admission v1', 32));
  return createHmac('sha256', key)
    .update(admissionStatement(meshId, node, publicKey))
    .digest();
}
