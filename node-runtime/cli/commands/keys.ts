import type { Command } from 'commander';
import { keyIdOf } from '../../contract/index.ts';
import {
  type AuthorKey,
  authorDefault,
  listAuthorKeys,
  makeAuthorKey,
  readAuthorKey,
} from '../../shell/authors/author-keys.ts';
import { addGlobalOptions, type CommandContext, type CommandModule, Session } from '../context.ts';

const help = `
Code of engine "node" is signed by its author, and runs where the owner of a node trusts the author's key.
The private key stays in this home, readable by you alone: whoever has it can sign in your name.

Examples:
  $ foremesh keys new                     a key called "author", which \`foremesh submit\` signs with
  $ foremesh keys show > ada.key          the public part, for the owners of nodes
  $ foremesh trust ada.key --on pi-3      what such an owner says then`;

/** `foremesh keys`: the keys with which an author signs code. */
export const keysCommand: CommandModule = {
  name: 'keys',
  summary: 'make and show the keys that sign code for engine node',
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', help);
    const sub = (name: string, summary: string) =>
      addGlobalOptions(command.command(name).description(summary).summary(summary));
    sub('new', 'make a key')
      .argument('[name]', 'what you call it', authorDefault)
      .action(async (name: string, _: object, self: Command) => {
        const session = new Session(self, context);
        const key = await makeAuthorKey(session.home, name);
        if (session.json) session.printJson(rowOf(key));
        else session.print(`${key.name}  ${keyIdOf(key.publicKey)}  ${key.publicKey}`);
        session.tell(`let a node run what it signs: foremesh trust ${key.publicKey} --on NODE`);
      });
    sub('list', 'the keys of this home').action(async (_: object, self: Command) => {
      const session = new Session(self, context);
      const keys = await listAuthorKeys(session.home);
      if (session.json) session.printJson(keys.map(rowOf));
      else for (const key of keys) session.print(`${key.name}  ${keyIdOf(key.publicKey)}  ${key.publicKey}`);
      if (keys.length === 0) session.tell('none: `foremesh keys new` makes one');
    });
    sub('show', 'the public part of a key')
      .argument('[name]', 'which', authorDefault)
      .action(async (name: string, _: object, self: Command) => {
        const session = new Session(self, context);
        const key = await readAuthorKey(session.home, name);
        if (session.json) session.printJson(rowOf(key));
        else session.print(key.publicKey);
      });
  },
};

function rowOf({ name, publicKey }: AuthorKey) {
  return { name, id: keyIdOf(publicKey), key: publicKey };
}
