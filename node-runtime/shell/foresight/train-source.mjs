// In a checkout: a thread does not take over from its process what reads TypeScript.
import { register } from 'tsx/esm/api';

register();
await import('./train-main.ts');
