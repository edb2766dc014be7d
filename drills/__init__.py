"""What must hold when things go wrong: each file is a drill, run by `bihuan drill NAME`. The product never imports them."""
