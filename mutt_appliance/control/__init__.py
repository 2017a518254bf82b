"""The control socket: supervisord's XML-RPC protocol over HTTP on a Unix socket, and our own calls beside it.

The way of a call: `server` reads it in a thread of its own, `peers` says who asks, `interface` and
`own_interface` know the methods, and `desk` hands the work to the supervisor's loop, which alone touches processes.
"""
